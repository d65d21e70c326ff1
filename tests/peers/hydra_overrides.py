"""Run by the Python of real DVC: what Hydra makes of overrides. Cases as JSON in, answers out."""

import json
import sys


def answer(case):
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    data, given = case
    try:
        parsed = OverridesParser.create().parse_overrides(given)
        if any(one.is_sweep_override() for one in parsed):
            return {"sweep": [values(one) for one in parsed]}
        config = OmegaConf.create(data, flags={"allow_objects": True})
        OmegaConf.set_struct(config, True)
        ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
        return {"data": OmegaConf.to_object(config)}
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is a refusal
        return {"error": f"{type(error).__name__}: {error}"}


def values(one):
    if not one.is_sweep_override():
        return [one.value()]
    return [one._convert_value(value) for value in one.sweep_iterator()]


if __name__ == "__main__":  # pytest imports it, too
    json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
