"""Step 1, validate: is this a table that a model may learn from? All findings at once, as JSON and as a page.

In: a table, the use case, and the baseline's profile if there is one.
Out: `validated_data/` (data.parquet, profile.json), `validation_report.json`, `validation_report.html`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandera.pandas as pa
from pandera.errors import SchemaErrors
from pydantic import BaseModel, ConfigDict

from training.leaks import leaks
from training.profiles import Profile, drift, profile
from training.render import render
from training.sources import table_of
from training.steps import command
from training.tables import DataError, Kind, Table, open_table, quoted
from training.usecase import UseCase, load_use_case

VALIDATED = "validated_data"
DATA_FILE, PROFILE_FILE = "data.parquet", "profile.json"
REPORT = "validation_report"
#: More rows than this share beyond five interquartile ranges are worth a look.
MAX_OUTLIERS = 0.02
Severity = Literal["error", "warning"]


class Finding(BaseModel):
    """One thing that is wrong (`error`: the table is refused) or odd (`warning`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    severity: Severity
    message: str
    column: str | None = None


class ValidationReport(BaseModel):
    """What was checked, and what was found. `drift` is the population stability index of each column."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use_case: str
    rows: int
    columns: int
    classes: dict[str, int] = {}
    drift: dict[str, float] = {}
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> list[Finding]:
        return [each for each in self.findings if each.severity == "error"]


def validate(data: Path, case: UseCase, output: Path, baseline: Path | None = None) -> ValidationReport:
    """Check the table and write the report; the data go on only if there is no error. Raises `DataError` with all of them."""
    output.mkdir(parents=True, exist_ok=True)
    with open_table(data, case) as table:
        report, found = _inspect(table, case, baseline)
        _write(report, output)
        if report.errors:
            raise DataError([each.message for each in report.errors])
        validated = output / VALIDATED
        validated.mkdir(exist_ok=True)
        table.connection.sql("SELECT * FROM source").write_parquet(str(validated / DATA_FILE))
        (validated / PROFILE_FILE).write_text(found.model_dump_json(indent=2))
    return report


def _write(report: ValidationReport, output: Path) -> None:
    (output / f"{REPORT}.json").write_text(report.model_dump_json(indent=2))
    (output / f"{REPORT}.html").write_text(render("validation.html.j2", report=report), "utf-8")


def _inspect(table: Table, case: UseCase, baseline: Path | None) -> tuple[ValidationReport, Profile]:
    missing = [name for name in (case.target, *case.columns, *case.ids) if name not in table.kinds]
    if missing:
        has = ", ".join(table.kinds)
        findings = [_error("schema", f"column '{name}' is missing; the table has: {has}", name) for name in missing]
        rows = table.row("count(*)")[0]
        report = ValidationReport(use_case=case.name, rows=rows, columns=len(table.kinds), findings=tuple(findings))
        return report, Profile(rows=rows, columns={})
    kinds = feature_kinds(table, case)
    found = profile(table, kinds)
    drifted = drift(table, Profile.model_validate_json(baseline.read_text())) if baseline else {}
    classes = class_counts(table, case)
    findings = [
        *_rows(found, case),
        *_target(table, case, classes),
        *_ids(table, case),
        *_schema(table, case),
        *_columns(found, case),
        *(
            _error("leakage", f"column '{name}' tells the target '{case.target}'; drop it", name)
            for name in leaks(table, class_of(case), found)
        ),
        *_drift(drifted, case),
    ]
    report = ValidationReport(
        use_case=case.name,
        rows=found.rows,
        columns=len(table.kinds),
        classes=classes,
        drift={name: round(value, 6) for name, value in drifted.items()},
        findings=tuple(findings),
    )
    return report, found


def feature_kinds(table: Table, case: UseCase) -> dict[str, Kind]:
    """The features and their kinds: the use case's word, else what the file holds."""
    skipped = {case.target, *case.unseen}
    return {
        name: case.columns[name].type if name in case.columns else kind
        for name, kind in table.kinds.items()
        if name not in skipped
    }


def class_of(case: UseCase) -> str:
    """SQL of a row's class: the target's text, or the label of its bin."""
    target = quoted(case.target)
    if not case.bins:
        return f"CAST({target} AS VARCHAR)"
    steps = " ".join(
        f"WHEN {target} <= {edge!r} THEN '{label}'" for edge, label in zip(case.bins, case.labels, strict=False)
    )
    return f"CASE WHEN {target} IS NULL THEN NULL {steps} ELSE '{case.labels[-1]}' END"


def class_counts(table: Table, case: UseCase) -> dict[str, int]:
    """Rows of each class, the commonest first."""
    query = f"SELECT {class_of(case)} AS class, count(*) FROM source WHERE class IS NOT NULL GROUP BY class ORDER BY 2 DESC, 1"  # nosec B608  # quoted
    return dict(table.rows(query))


def _error(check: str, message: str, column: str | None = None) -> Finding:
    return Finding(check=check, severity="error", message=message, column=column)


def _warning(check: str, message: str, column: str | None = None) -> Finding:
    return Finding(check=check, severity="warning", message=message, column=column)


def _rows(found: Profile, case: UseCase) -> Iterator[Finding]:
    if found.rows < case.min_rows:
        yield _error("rows", f"{found.rows} rows; at least {case.min_rows} are needed")


def _target(table: Table, case: UseCase, classes: dict[str, int]) -> Iterator[Finding]:
    (empty,) = table.row(f"count(*) - count({quoted(case.target)})")
    if empty:
        yield _error("target", f"target '{case.target}' is missing in {empty} rows", case.target)
    if len(classes) < 2 or (case.task == "binary" and len(classes) != 2):
        needed = "2 are needed" if case.task == "binary" else "2 or more are needed"
        yield _error("target", f"target '{case.target}' has {len(classes)} classes; {needed}", case.target)
    if case.task == "binary" and case.positive not in classes:
        has = ", ".join(sorted(classes)[:10])
        yield _error("target", f"target '{case.target}' never is '{case.positive}'; it has: {has}", case.target)
    for name, count in classes.items():
        if len(classes) > 1 and count < case.search.folds * 2:
            yield _error("target", f"class '{name}' has {count} rows; {case.search.folds * 2} are needed", case.target)


def _ids(table: Table, case: UseCase) -> Iterator[Finding]:
    for name in case.ids:
        (doubled,) = table.row(f"count({quoted(name)}) - count(DISTINCT {quoted(name)})")
        if doubled:
            yield _error("ids", f"id column '{name}' repeats {doubled} values; each row needs its own", name)


def _schema(table: Table, case: UseCase) -> Iterator[Finding]:
    """pandera over batches: types, limits and categories of the columns that the use case describes."""
    if not case.columns:
        return
    schema, failures = pandera_schema(case), Counter[tuple[str, str]]()
    examples: dict[tuple[str, str], object] = {}
    for batch in table.batches():
        try:
            schema.validate(batch, lazy=True)
        except SchemaErrors as errors:
            for case_ in errors.failure_cases.itertuples():
                key = (str(case_.column), str(case_.check))
                failures[key] += 1
                examples.setdefault(key, case_.failure_case)
    for (column, check), count in sorted(failures.items()):
        shown = "a personal value" if case.columns[column].pii else repr(examples[column, check])
        yield _error("schema", f"column '{column}': {count} values break {check}, e.g. {shown}", column)


def pandera_schema(case: UseCase) -> pa.DataFrameSchema:
    """The use case's columns as a pandera schema; missing values are another check's business."""
    columns = {}
    for name, column in case.columns.items():
        checks = []
        if column.categories:
            checks.append(pa.Check.isin(column.categories))
        if column.minimum is not None:
            checks.append(pa.Check.ge(column.minimum))
        if column.maximum is not None:
            checks.append(pa.Check.le(column.maximum))
        type_ = "float64" if column.type == "number" else "str"
        columns[name] = pa.Column(type_, checks, nullable=True, coerce=True)
    return pa.DataFrameSchema(columns, strict=False)


def _columns(found: Profile, case: UseCase) -> Iterator[Finding]:
    for name, column in found.columns.items():
        share = column.missing / found.rows if found.rows else 0.0
        if found.rows and column.missing == found.rows:
            yield _error("missing", f"column '{name}' has no value at all", name)
        elif share > case.max_missing_share:
            allowed = f"at most {case.max_missing_share:.0%} is allowed"
            yield _error("missing", f"column '{name}' is missing in {share:.1%} of rows; {allowed}", name)
        elif column.distinct <= 1:
            yield _error("constant", f"column '{name}' is constant", name)
        if column.outliers > MAX_OUTLIERS:
            yield _warning("outliers", f"column '{name}': {column.outliers:.1%} of values are far outside", name)


def _drift(drifted: dict[str, float], case: UseCase) -> Iterator[Finding]:
    for name, value in drifted.items():
        if value > case.max_drift:
            message = f"column '{name}' has drifted from the baseline: stability index {value:.2f}, at most {case.max_drift:g}"
            yield _error("drift", message, name)


def main(arguments: list[str] | None = None) -> int:
    """`python -m training.steps.validate`."""
    made = command.parser("validate", __doc__)
    made.add_argument("--data", default="", help="CSV or Parquet file; default: the use case's own")
    made.add_argument("--baseline", type=Path, help="model folder whose training rows to look for drift from")
    args = made.parse_args(arguments)

    def work() -> None:
        case = load_use_case(args.use_case)
        profiled = args.baseline / PROFILE_FILE if args.baseline else None
        if profiled and not profiled.exists():
            command.log.info("the baseline has no profile of its training rows: drift is not looked for")
        report = validate(
            table_of(case, args.data, args.output / "source"),
            case,
            args.output,
            profiled if profiled and profiled.exists() else None,
        )
        for finding in report.findings:
            command.log.warning("%s", finding.message)
        command.log.info("%d rows, %d columns, classes %s", report.rows, report.columns, report.classes)

    return command.run("validate", work)


if __name__ == "__main__":
    sys.exit(main())
