"""From a trained model's folder to the same folder with its ONNX graph.

What was there stays: an MLflow client that knows no ONNX loads the model as before, and so do signing and the model's tests.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import yaml
from onnx import GraphProto, ModelProto, TensorProto, compose, helper
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from training.onnx.graph import ML, FeatureGraph, NotConvertible
from training.onnx.predictor import (
    BOOSTER_FILE,
    CATEGORIES,
    COLUMNS,
    FEATURES,
    FEATURES_FILE,
    MODEL_FILE,
    NATIVE_FROM,
    NUMBERS,
    PROBABILITY,
)
from training.steps.evaluate import load

#: The newest that onnxmltools converts trees to, and the first LabelEncoder with float64 values.
OPSET, ML_OPSET = 15, 4
_IR_VERSION = 8
#: Of the files as they were; the optimised model is signed anew.
SIGNATURE = "model.sig"


def convert(model_folder: Path, output_folder: Path) -> Path:
    """`output_folder`: the model with its ONNX graph beside it. Raises `NotConvertible`; nothing is written then."""
    pipeline, _ = load(model_folder)
    whole, features = to_onnx(pipeline)
    shutil.rmtree(output_folder, ignore_errors=True)
    shutil.copytree(model_folder, output_folder, ignore=shutil.ignore_patterns(SIGNATURE))
    for graph, name in ((whole, MODEL_FILE), (features, FEATURES_FILE)):
        onnx.checker.check_model(graph, full_check=True)
        onnx.save_model(graph, str(output_folder / name))
    pipeline.steps[-1][1].get_booster().save_model(output_folder / BOOSTER_FILE)
    _add_flavor(output_folder)
    return output_folder


def is_optimised(folder: Path) -> bool:
    """Whether the model has an ONNX graph already."""
    return (folder / MODEL_FILE).is_file()


def set_native_from(folder: Path, rows: int) -> None:
    """Note in the graph from how many rows on the native trees are faster; 0: never."""
    file = str(folder / MODEL_FILE)
    graph = onnx.load_model(file)
    known = {each.key: each.value for each in graph.metadata_props}
    helper.set_model_props(graph, known | {NATIVE_FROM: str(rows)})
    onnx.save_model(graph, file)


def to_onnx(pipeline: Pipeline) -> tuple[ModelProto, ModelProto]:
    """The whole pipeline, and its features alone. The trees are as onnxmltools converts them."""
    classifier = pipeline.steps[-1][1]
    if not isinstance(classifier, XGBClassifier):
        raise NotConvertible(f"an estimator of type {type(classifier).__name__}; only XGBClassifier is converted")
    made = FeatureGraph(pipeline[:-1])
    features = _model(made.graph())
    whole = compose.merge_models(
        features, _model(_trees(classifier)), io_map=[(FEATURES, "tree_input")], outputs=[PROBABILITY]
    )
    columns = json.dumps({CATEGORIES: made.categories, NUMBERS: made.numbers})
    helper.set_model_props(whole, {COLUMNS: columns})
    return whole, features


def _trees(classifier: XGBClassifier) -> GraphProto:
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    width, classes = classifier.n_features_in_, len(classifier.classes_)
    shape = [("tree_input", FloatTensorType([None, width]))]
    (node,) = convert_xgboost(classifier, initial_types=shape, target_opset=OPSET).graph.node
    node.output[1] = PROBABILITY
    return helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("tree_input", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, ["rows", classes])],
    )


def _model(graph: GraphProto) -> ModelProto:
    versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
    return helper.make_model(graph, opset_imports=versions, ir_version=_IR_VERSION, producer_name="azureml-rollouts")


def _add_flavor(folder: Path) -> None:
    """One more flavor in the MLmodel file; `mlflow.onnx.load_model` finds it."""
    file = folder / "MLmodel"
    described: dict[str, Any] = yaml.safe_load(file.read_text())
    described["flavors"]["onnx"] = {
        "code": None,
        "data": MODEL_FILE,
        "onnx_session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1},
        "onnx_version": onnx.__version__,
        "providers": ["CPUExecutionProvider"],
    }
    file.write_text(yaml.safe_dump(described))
    _require(folder, f"onnxruntime=={version('onnxruntime')}")


def _require(folder: Path, requirement: str) -> None:
    """Environments that are built from the model's own files get ONNX Runtime too."""
    lines = (folder / "requirements.txt").read_text().splitlines()
    (folder / "requirements.txt").write_text("\n".join([*lines, requirement]) + "\n")
    conda: dict[str, Any] = yaml.safe_load((folder / "conda.yaml").read_text())
    next(each for each in conda["dependencies"] if isinstance(each, dict))["pip"].append(requirement)
    (folder / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False))
