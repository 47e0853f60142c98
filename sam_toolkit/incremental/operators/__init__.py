"""What the layers of a network do to whole activations, and to windows of them."""
