"""Functions of other libraries with the same arguments and values, computed by this package's operators.

`from sam_toolkit.drop_ins import structural_similarity` stands in for scikit-image's,
`structural_similarity_index_measure` for the functional form of torchmetrics.
"""

from sam_toolkit.drop_ins.scikit_image import structural_similarity
from sam_toolkit.drop_ins.torchmetrics import structural_similarity_index_measure

__all__ = ["structural_similarity", "structural_similarity_index_measure"]
