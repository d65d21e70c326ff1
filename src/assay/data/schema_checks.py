"""The checks of the schema itself: a domain that cannot hold must not look like one that holds."""

from __future__ import annotations

from assay.data.anomalies import Anomaly
from assay.data.times import microseconds
from assay.project.declaration import ColumnSchema, NumberDomain, StringDomain, TimeDomain

_DOMAINS = {
    "int_domain": {"INT", "BYTES"},
    "float_domain": {"FLOAT", "BYTES"},
    "string_domain": {"BYTES"},
    "time_domain": {"TIME"},
}


def check(name: str, expected: ColumnSchema) -> list[Anomaly]:
    """Return what is wrong with the schema of a column."""
    found: list[Anomaly] = []
    for key, types in _DOMAINS.items():
        domain = getattr(expected, key)
        if domain is None:
            continue
        what = ""
        if expected.type not in types:
            type_ = "DOMAIN_INVALID_FOR_TYPE"
            what = f"'{key}' is not for the type {expected.type}"
        elif isinstance(domain, StringDomain):
            type_ = "INVALID_DOMAIN_SPECIFICATION"
            twice = sorted({v for v in domain.value if domain.value.count(v) > 1})[:1]
            what = f"'{key}' has the value '{twice[0]}' more than once" if twice else ""
        else:
            type_ = "INVALID_SCHEMA_SPECIFICATION"
            what = _range_fault(key, domain)
        if what:
            found.append(
                Anomaly(
                    type=type_,
                    column=name,
                    short_description="The schema is wrong",
                    description=f"{what}.",
                    edit={"columns": {name: {key: None}}},
                )
            )
    return found


def _range_fault(key: str, domain: NumberDomain | TimeDomain) -> str:
    low, high = domain.min, domain.max
    if isinstance(domain, TimeDomain):
        try:
            low, high = (None if x is None else microseconds(x) for x in (domain.min, domain.max))
        except ValueError:
            return f"'{key}' has a limit that is not an ISO 8601 time"
    if low is not None and high is not None and low > high:  # type: ignore[operator]
        return f"'{key}' has a minimum above its maximum"
    return ""
