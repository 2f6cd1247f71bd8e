"""What the collection says of itself agrees with what it does: plugin documentation, examples, role arguments, versions."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry
from ansible_collections.ops.remediation.plugins.plugin_utils.run.version import VERSION

CHECKOUT = Path(__file__).resolve().parents[2]
NAMESPACE = "ops.remediation."
FOLDERS = {"module": "modules", "callback": "callback", "filter": "filter", "lookup": "lookup", "test": "test", "inventory": "inventory"}
TYPES = {"str": str, "path": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict, "raw": object}


def plugins_of(kind: str) -> list[str]:
    files = (CHECKOUT / "plugins" / FOLDERS[kind]).glob("*.py")
    return sorted(NAMESPACE + path.stem for path in files if path.stem != "__init__")


KINDS = [kind for kind in FOLDERS if plugins_of(kind)]
MODULES = plugins_of("module")
ROLES = sorted(path.parent.parent.name for path in (CHECKOUT / "roles").glob("*/tasks/main.yml"))


@cache
def documentation(kind: str) -> dict:
    """What ansible-doc says about all plugins of a kind."""
    argv = [Path(sys.executable).with_name("ansible-doc"), "--json", "--type", kind, *plugins_of(kind)]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def load(path: str):
    return yaml.safe_load((CHECKOUT / path).read_text(encoding="utf-8"))


def options_used(value) -> list[tuple[str, dict]]:
    """Every use of a module of this collection in plays and tasks, as (module, arguments)."""
    if isinstance(value, list):
        return [use for item in value for use in options_used(item)]
    if not isinstance(value, dict):
        return []
    found = [(key, item or {}) for key, item in value.items() if key in MODULES]
    return found + [use for item in value.values() for use in options_used(item)]


def undocumented(arguments: dict, options: dict, where: str = "") -> list[str]:
    """Names in the arguments that the documentation does not have, also in suboptions."""
    missing = []
    for name, value in arguments.items():
        spec = options.get(name)
        if spec is None:
            missing.append(where + name)
        elif spec.get("suboptions"):
            for item in value if isinstance(value, list) else [value]:
                missing += undocumented(item, spec["suboptions"], f"{where}{name}.")
    return missing


@pytest.mark.parametrize("kind", KINDS)
def test_every_plugin_is_documented(kind):
    told = documentation(kind)
    assert sorted(told) == plugins_of(kind)
    assert all(entry["doc"]["short_description"] for entry in told.values())


def test_action_plugins_have_a_module_that_documents_them():
    actions = {NAMESPACE + path.stem for path in (CHECKOUT / "plugins/action").glob("*.py") if path.stem != "__init__"}
    assert actions <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_examples_use_documented_options_alone(module):
    entry = documentation("module")[module]
    uses = options_used(yaml.safe_load(entry["examples"]))
    assert module in [name for name, _arguments in uses], "no example of the module itself"
    for name, arguments in uses:
        assert undocumented(arguments, documentation("module")[name]["doc"].get("options", {})) == [], name


def test_examples_of_stack_check_ask_real_checks():
    examples = yaml.safe_load(documentation("module")[NAMESPACE + "stack_check"]["examples"])
    for name, arguments in options_used(examples):
        if name == NAMESPACE + "stack_check":
            assert _registry.parse(arguments["checks"], ArgumentSpecValidator)


@pytest.mark.parametrize("role", ROLES)
def test_role_defaults_equal_the_argument_spec(role):
    options = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load(f"roles/{role}/defaults/main.yml") or {}
    assert set(defaults) <= set(options), "defaults without a specification"
    for name, spec in options.items():
        if "default" in spec:
            assert name in defaults, f"{name} has a default in the specification alone"
            assert defaults[name] == spec["default"], name
        elif name in defaults:
            # Too long to repeat: the specification says where it is.
            assert "defaults/main.yml" in str(spec["description"]), f"{name} has a default that the specification does not know"
        if name in defaults:
            assert isinstance(defaults[name], TYPES[spec.get("type", "str")]), f"{name} is no {spec.get('type')}"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_readme(role):
    text = (CHECKOUT / "roles" / role / "README.md").read_text(encoding="utf-8")
    for section in ("## Inputs", "## Outputs", "## Idempotent", "## Roll-back"):
        assert section in text, section


def test_versions_are_equal():
    released = load("changelogs/changelog.yaml")["releases"]
    assert load("galaxy.yml")["version"] == VERSION
    assert max(released, key=lambda version: [int(part) for part in version.split("-")[0].split(".")]) == VERSION


def test_every_module_is_in_the_action_group():
    group = load("meta/runtime.yml")["action_groups"]["remediation"]
    stackless = {NAMESPACE + name for name in ("run_guard", "run_verdict")}  # no defaults to share
    assert {NAMESPACE + name for name in group} == set(MODULES) - stackless
