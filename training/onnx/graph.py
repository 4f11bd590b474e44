"""The pipeline's features as ONNX nodes, in float64 as scikit-learn computes them, before XGBoost's own cast to float32.

skl2onnx computes features in float32. A rounding there can carry a row over a tree's split, which moves its probability by
percents; in float64 what the trees are given is the same to the bit (docs/adr/0016-onnx-and-container.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, RobustScaler, TargetEncoder

from training.onnx.predictor import CATEGORIES, FEATURES, NUMBERS

#: The operators of classical machine learning.
ML = "ai.onnx.ml"


class NotConvertible(ValueError):
    """The model has a step that this conversion does not know; the text names it."""


class FeatureGraph:
    """Nodes and constants for one fitted pipeline without its estimator."""

    def __init__(self, steps: Pipeline) -> None:
        self.categories: tuple[str, ...] = ()
        self.numbers: tuple[str, ...] = ()
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, NDArray[Any]] = {}
        made, kept, scaler = _split(steps)
        parts = {name: (fitted, tuple(columns)) for name, fitted, columns in made.transformers_ if name != "remainder"}
        if unknown := parts.keys() - {"categories", "numbers", "products"}:
            raise NotConvertible(f"features of an unknown kind: {', '.join(sorted(unknown))}")
        self.categories = parts.get("categories", (None, ()))[1]
        self.numbers = parts.get("numbers", (None, ()))[1]
        self._build(parts, kept, scaler)

    def graph(self) -> GraphProto:
        """The inputs that the model has, and FEATURES."""
        inputs = []
        if self.categories:
            inputs.append(_matrix(CATEGORIES, TensorProto.STRING, len(self.categories)))
        if self.numbers:
            inputs.append(_matrix(NUMBERS, TensorProto.DOUBLE, len(self.numbers)))
        outputs = [_matrix(FEATURES, TensorProto.FLOAT, self.width)]
        constants = [numpy_helper.from_array(value, name) for name, value in self._constants.items()]
        return helper.make_graph(self._nodes, "features", inputs, outputs, constants)

    def _build(self, parts: dict[str, Any], kept: Sequence[int] | None, scaler: RobustScaler) -> None:
        makers = [*self._encoded(parts.get("categories")), *self._counted(parts.get("numbers"), parts.get("products"))]
        widths = [width for width, _ in makers]
        wanted = tuple(range(sum(widths))) if kept is None else tuple(kept)
        if list(wanted) != sorted(set(wanted)):
            raise NotConvertible(f"the kept features {wanted} are not in ascending order")
        columns, start = [], 0
        for width, make in makers:
            chosen = [index - start for index in wanted if start <= index < start + width]
            if chosen:
                columns.append(make(chosen))
            start += width
        self.width = len(wanted)
        self._scale(self._node("Concat", columns, axis=1), scaler)

    def _encoded(self, part: tuple[TargetEncoder, tuple[str, ...]] | None) -> list[tuple[int, Any]]:
        """One maker a category: its label's value, of each class where there are several."""
        if part is None:
            return []
        encoder, columns = part
        several = encoder.target_type_ == "multiclass"
        per_class = len(encoder.classes_) if several else 1
        means = np.atleast_1d(np.asarray(encoder.target_mean_, dtype=np.float64))

        def maker(index: int) -> Any:
            def make(chosen: list[int]) -> str:
                column = self._node("Gather", [CATEGORIES, self._constant(np.array([index]))], axis=1)
                made = [
                    self._lookup(
                        column, encoder.categories_[index], encoder.encodings_[index * per_class + each], means[each]
                    )
                    for each in chosen
                ]
                return made[0] if len(made) == 1 else self._node("Concat", made, axis=1)

            return make

        return [(per_class, maker(index)) for index in range(len(columns))]

    def _lookup(self, column: str, labels: NDArray[Any], values: NDArray[Any], default: float) -> str:
        if not all(isinstance(label, str) for label in labels):
            raise NotConvertible(
                f"categories that are no text: {[each for each in labels if not isinstance(each, str)]}"
            )
        return self._node(
            "LabelEncoder",
            [column],
            domain=ML,
            keys_tensor=helper.make_tensor(
                "keys", TensorProto.STRING, [len(labels)], [each.encode() for each in labels]
            ),
            values_tensor=numpy_helper.from_array(np.asarray(values, dtype=np.float64), "values"),
            default_tensor=numpy_helper.from_array(np.array([default], dtype=np.float64), "default"),
        )

    def _counted(
        self, numbers: tuple[SimpleImputer, tuple[str, ...]] | None, products: tuple[Pipeline, tuple[str, ...]] | None
    ) -> list[tuple[int, Any]]:
        """The numbers with their medians where they are missing, and products of two of them."""
        if numbers is None:
            return []
        medians = _medians(numbers[0])
        filled: list[str] = []

        def fill() -> str:
            if not filled:
                missing = self._node("IsNaN", [NUMBERS])
                filled.append(self._node("Where", [missing, self._constant(medians), NUMBERS]))
            return filled[0]

        def pick(positions: Sequence[int]) -> str:
            return self._node("Gather", [fill(), self._constant(np.array(positions, dtype=np.int64))], axis=1)

        makers: list[tuple[int, Any]] = [(len(medians), pick)]
        if products is not None:
            pairs = _pairs(products[0], [numbers[1].index(name) for name in products[1]], medians)
            makers.append(
                (
                    len(pairs),
                    lambda chosen: self._node("Mul", [pick([pairs[each][side] for each in chosen]) for side in (0, 1)]),
                )
            )
        return makers

    def _scale(self, column: str, scaler: RobustScaler) -> None:
        if scaler.center_ is not None:
            column = self._node("Sub", [column, self._constant(np.asarray(scaler.center_, dtype=np.float64))])
        if scaler.scale_ is not None:
            column = self._node("Div", [column, self._constant(np.asarray(scaler.scale_, dtype=np.float64))])
        self._nodes.append(helper.make_node("Cast", [column], [FEATURES], to=TensorProto.FLOAT))

    def _node(self, kind: str, inputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants[name] = value
        return name


def _split(steps: Pipeline) -> tuple[ColumnTransformer, Sequence[int] | None, RobustScaler]:
    """The makers, the kept positions, the scaler: what training.plan puts together."""
    named = dict(steps.steps)
    if list(named) not in (["make", "scale"], ["make", "keep", "scale"]) or not isinstance(
        named["scale"], RobustScaler
    ):
        raise NotConvertible(f"a pipeline of {', '.join(named)}; known are make, keep and scale")
    kept = named["keep"].transformers_[0][2] if "keep" in named else None
    return named["make"], kept, named["scale"]


def _medians(imputer: SimpleImputer) -> NDArray[np.float64]:
    medians = np.asarray(imputer.statistics_, dtype=np.float64)
    if np.isnan(medians).any() or not np.isnan(imputer.missing_values):
        raise NotConvertible("a column that was missing throughout, or another mark of what is missing than NaN")
    return medians


def _pairs(products: Pipeline, positions: list[int], medians: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Which two numbers each product multiplies, by position."""
    (_, imputer), (_, multiplier) = products.steps
    if not isinstance(multiplier, PolynomialFeatures) or not (multiplier.powers_.sum(axis=1) == 2).all():
        raise NotConvertible("products of other than two numbers")
    if not np.array_equal(_medians(imputer), medians[positions]):
        raise NotConvertible("products that fill in other medians than the numbers do")
    found = []
    for powers in multiplier.powers_:
        factors = [positions[index] for index, power in enumerate(powers) for _ in range(power)]
        found.append((factors[0], factors[1]))
    return found


def _matrix(name: str, kind: int, width: int) -> Any:
    return helper.make_tensor_value_info(name, kind, ["rows", width])
