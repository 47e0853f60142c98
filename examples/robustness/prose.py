"""The sentences of the page."""

PAIRS = (("robust", "regular"), ("noise", "regular"), ("robust", "noise"))
"""Kinds of network that are compared, the first less the second."""

HEAD = """# Robust and regular classifiers

<!-- Written by `python examples/robustness/page.py`; change that, not this. -->

The paper on SAM (Bansal, Agarwal and Nguyen, CVPR 2020) found that saliency maps move with arbitrary choices, and that
those of adversarially trained classifiers move less. Here this is tested on small networks that come with sam_toolkit,
which differ from each other in the images they were trained on alone: as they are (regular), attacked (robust), or with
Gaussian noise (noise, the control), several trainings of each. `python examples/robustness/page.py` runs the study
`examples/robustness/study.yaml` and writes this page; `examples/robustness/train.py` trains the networks anew.

How to read it:

- *Similarity* is SSIM, Spearman's correlation or that of HOG features, of a map with that of the clean image, or of the
  default setting. Its floors are that of reruns with another seed (1 where nothing is drawn) and that of a random map.
- A test is *for* its claim where the mean over images has a 95 % bootstrap interval (BCa) above 0; where it is a
  difference of two kinds of network, so has the difference of what similarities exceed those to random maps by;
  Wilcoxon's signed ranks, paired by image, have p < .05 after Holm's correction over every test on this page; and each
  training (each pair of networks of one seed) says so by itself. It is *against* where all of that is so with the other
  sign. Anything else is open.
- *Least* and *most* are the tests with the smallest and the largest effect, whatever their verdict: the effect with its
  interval, and in brackets what it comes from with its floors, for the first kind of network less the second. The other
  tests stand under Details."""

LIMITS = """## What cannot be tested here

- SAM's numbers: its four ImageNet networks and 1,735 photographs are not to be had without a download. With them,
  `python examples/robustness/page.py imagenet -o page.md` writes this page for them: `study.yaml` says where files go.
- Localisation: these images have no boxes.
- That gradients of robust networks look like the object: no number here says that.
- Whether it is attacks that matter, or what attacks do to smoothness or accuracy: the networks trained with noise tell
  one of these apart, not all.
- Sizes: images are small, and the study's patches, masks and blurs were scaled with them. What methods that ask many
  times say here rests on the first images of those that the gradients have: more images (`--images`) may answer what is
  open here, and the study itself says 500 for all."""

DETAILS = """Floors are in brackets: reruns with another seed (- where nothing is drawn), random maps. *Below rerun*
is how much less alike maps are than those of a rerun, which counts as 1 where the seed itself was varied; *share* is
that as a part of the way to a random map, of means. Fewer samples are the first of more samples, so that such maps
can be more alike than reruns. *Over random* is the difference of what similarities exceed those to random maps by.
*Trainings* are those in which the difference is above 0; *p* is after correction."""

SMOOTHING = """SAM compared smoother maps of a regular network with the plain gradient of its robust twin. *Gain* is the
similarity of the map to it, less that of the regular network's own gradient."""

ACCURACY = """For maps of regular networks: the mean accuracy of the default's maps; the change of the setting with the
largest one; the default's accuracy less a random map's. *Share* is the far end of the change's interval in units of
that ("none" where the default may be no better than random), *moved* the share of the way to a random map that the
settings' maps go, by SSIM. An average hides what moves where the first is below the second's interval."""
