"""Results as files, so that a report can be written again without models or photographs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sam_toolkit.errors import StoreError
from sam_toolkit.study.results import Results, Strip

RESULTS = "results.json"
STRIPS = "strips.safetensors"


def to_json(results: Results) -> dict[str, Any]:
    """Return the results without their strips as JSON values; numbers that are not defined are "NaN"."""
    values: dict[str, Any] = _plain(asdict(replace(results, strips=())))
    return values


def _plain(value: Any) -> Any:
    """Return nested values with text for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value).replace("nan", "NaN") if isinstance(value, float) and not math.isfinite(value) else value


def save(results: Results, folder: Path) -> None:
    """Write the results into `folder`: numbers as JSON, the maps of the strips as safetensors."""
    tensors: dict[str, Tensor] = {}
    strips = []
    for number, strip in enumerate(results.strips):
        photo = f"photo/{strip.model}/{strip.image}"
        tensors[photo] = strip.photo.contiguous().clone()  # models can share a photograph, a file cannot
        tensors[f"maps/{number}"] = strip.maps.contiguous()
        texts = {field.name: getattr(strip, field.name) for field in fields(strip)}
        strips.append({**texts, "photo": photo, "maps": f"maps/{number}"})
    save_file(tensors, folder / STRIPS)
    (folder / RESULTS).write_text(
        json.dumps({"results": to_json(results), "strips": strips}, indent=1), encoding="utf-8"
    )


def load(folder: Path) -> Results:
    """Return the results saved in `folder`; raises StoreError where there are none or they are damaged."""
    path = folder / RESULTS
    if not path.is_file():
        raise StoreError(f"{folder} holds no finished results. Run the study (again): `sam-toolkit run STUDY.yaml`.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        results = TypeAdapter(Results).validate_python(content["results"])
        tensors = load_file(folder / STRIPS)
        strips = tuple(_strip(item, tensors) for item in content["strips"])
    except (OSError, KeyError, TypeError, json.JSONDecodeError, ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"The results in {folder} are damaged ({reason}). Run the study again to write them anew."
        ) from error
    return replace(results, strips=strips)


def _strip(item: dict[str, Any], tensors: dict[str, Tensor]) -> Strip:
    values = {
        **item,
        "photo": tensors[item["photo"]],
        "maps": tensors[item["maps"]],
        "labels": tuple(item["labels"]),
        "keys": tuple(item.get("keys", ())),
    }
    return Strip(**values)
