"""Write docs/checks.md, docs/faults.md and the tables of README.md and the role READMEs from what the code says.

python tools/make_docs.py [--check]     --check writes nothing, names what is not current and ends with 1
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / ".cache" / "collections")]

from ansible_collections.ops.remediation.plugins.module_utils._areas import registry as _registry  # noqa: E402 - needs the path above
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS  # noqa: E402
from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import AREAS  # noqa: E402
from ansible_collections.ops.remediation.plugins.module_utils._core.check import Check, variables_of  # noqa: E402
from ansible_collections.ops.remediation.plugins.module_utils._core.faults import Fault, Follows  # noqa: E402
from ansible_collections.ops.remediation.plugins.plugin_utils.run import variables  # noqa: E402
from ansible_collections.ops.remediation.plugins.plugin_utils.texts import catalogue as faults_catalogue  # noqa: E402

from tools import stack_variables  # noqa: E402

MADE = "<!-- Made by tools/make_docs.py; change the code, then run `make docs`. -->"
INPUTS_BEGIN = "<!-- inputs: made by `make docs` from meta/argument_specs.yml -->"
INPUTS_END = "<!-- end of inputs -->"
AREAS_BEGIN = "<!-- areas: made by `make docs` from plugins/module_utils/_areas/*/area.py -->"
AREAS_END = "<!-- end of areas -->"
OPTIONS_BEGIN = "<!-- options: made by `make docs` from plugins/plugin_utils/run/run_variables.yml -->"
OPTIONS_END = "<!-- end of options -->"
LANGUAGE_NAMES = {"en": "English", "ko": "한국어"}
PART_NAMES = {
    "en": {"title": "Title", "cause": "Cause", "next": "Next step"},
    "ko": {"title": "제목", "cause": "원인", "next": "조치"},
}


def documents() -> dict[Path, str]:
    """Return every generated file with its content."""
    made = {CHECKOUT / "docs/checks.md": checks(), CHECKOUT / "docs/faults.md": faults()}
    for readme in sorted(CHECKOUT.glob("roles/*/README.md")):
        path = readme.parent / "meta/argument_specs.yml"
        made[path] = stack_variables.specification(path.read_text(encoding="utf-8"), read_by(readme.parent))
        specs = yaml.safe_load(made[path])
        made[readme] = with_table(
            readme.read_text(encoding="utf-8"), INPUTS_BEGIN, inputs(specs["argument_specs"]["main"]["options"]), INPUTS_END
        )
    readme = CHECKOUT / "README.md"
    text = with_table(readme.read_text(encoding="utf-8"), AREAS_BEGIN, areas(), AREAS_END)
    made[readme] = with_table(text, OPTIONS_BEGIN, options(variables.of_the_run()), OPTIONS_END)
    return made


def read_by(role: Path) -> set[str]:
    """Return the variables of the stack that a role reads: those that its files name, and those of the checks that it lists."""
    texts = [path.read_text(encoding="utf-8") for part in ("defaults", "tasks", "vars") for path in role.glob(f"{part}/*.yml")]
    named = {name for text in texts for name in re.findall(r"\bstack_\w+", text)}
    listed = {
        check.id
        for check in _registry.every()
        if any(re.search(rf"- (?:check: )?{re.escape(check.id)}$", text, re.MULTILINE) for text in texts)
    }
    return named | {
        variable
        for check in _registry.every()
        if check.id in listed
        for spec in check.parameters.values()
        for variable in variables_of(spec)
    }


def checks() -> str:
    """Describe each check of the registry."""
    lines = ["# Checks", "", MADE, "", "What `ops.remediation.stack_check` can be asked, by area.", ""]
    lines += table(("Check", "Question"), ((f"[{check.id}](#{anchor(check.id)})", check.question) for check in _registry.every()))
    for check in _registry.every():
        lines += ["", *describe_check(check)]
    return "\n".join(lines) + "\n"


def describe_check(check: Check) -> list[str]:
    """Return the section of one check."""
    sources = ", ".join(f"`{source.name}`" for source in check.sources)
    place = f"{check.runs_on} host with `{check.driver}`, otherwise checker" if check.driver else f"{check.runs_on} host"
    where = f"Runs on: {place}. Runs as: {RUN_AS[check.run_as]}. Sources: {sources}."
    rows = (
        (f"`{name}`", kind_of(spec), default_of(spec), filled_by(spec), markdown(spec["description"]))
        for name, spec in sorted(check.parameters.items(), key=lambda item: (not item[1].get("required", False), item[0]))
    )
    return [f"## {check.id}", "", check.question, "", where, "", *table(("Parameter", "Type", "Default", "Variable", "Meaning"), rows)]


def filled_by(spec: Mapping[str, Any]) -> str:
    """Return the inventory variables that fill a parameter."""
    return ", else ".join(f"`{name}`" for name in variables_of(spec)) or "-"


RUN_AS = {"root": "root", "app": "the application's user (root becomes that user)", "any": "any user"}


def faults() -> str:
    """Describe each entry of the catalogue, with its texts as templates."""
    lines = ["# Faults", "", MADE, ""]
    lines += [
        "What the checks can find. P0: sending stops, P1: sending is at risk or one part is down, P2: trouble to come, P3: advice.",
        "Class of a remedy: auto (reversible, limited in number), approval (needs a person's consent).",
        "None of the remedies is carried out by this version; the ids are for later ones.",
        "Source: M1, M2 manual and section, F a fact of the product, + an addition of this collection.",
        "In the texts, ‹name› is filled in from the finding, and [one | other] stands for a choice.",
    ]
    for area in AREAS:
        entries = [entry for entry in FAULTS.values() if entry.area == area]
        if entries:
            rows = (
                (f"[{entry.code}](#{anchor(entry.code)})", entry.severity, entry.status, entry.source, remedies(entry), follows(entry))
                for entry in entries
            )
            lines += ["", f"## Area {area}", ""]
            lines += table(("Code", "Severity", "Status", "Source", "Remedies", "May follow from"), rows)
            for entry in entries:
                lines += ["", *describe_fault(entry)]
    return "\n".join(lines) + "\n"


def describe_fault(entry: Fault) -> list[str]:
    """Return the section of one fault."""
    words = faults_catalogue.texts(entry.area)[entry.code]
    lines = [f"### {entry.code}"]
    for language in faults_catalogue.LANGUAGES:
        lines += ["", f"{LANGUAGE_NAMES[language]}:", ""]
        names = PART_NAMES[language]
        lines += [f"- {name}: {readable(words[part][language])}" for part, name in names.items() if words[part][language]]
    return lines


def remedies(entry: Fault) -> str:
    """List remedies with their class, best first."""
    return ", ".join(f"`{remedy.id}` ({remedy.permission})" for remedy in entry.remedies) or "-"


def follows(entry: Fault) -> str:
    """List the codes that may be the cause."""
    return ", ".join(describe_cause(cause) for cause in entry.follows) or "-"


def describe_cause(cause: Follows) -> str:
    """Name a cause, with its condition."""
    return f"`{cause.code}`{' of the same subject' if cause.same_subject else ''}"


def readable(template: str) -> str:
    """Turn a Jinja2 template into a sentence with gaps and choices."""
    text = re.sub(r"{%-?\s*if .*?%}", "[", template, flags=re.DOTALL)
    text = re.sub(r"{%-?\s*(?:elif .*?|else\s*)%}", " | ", text, flags=re.DOTALL)
    text = re.sub(r"{%-?\s*endif\s*-?%}", "]", text)
    text = re.sub(r"{%.*?%}", "", text, flags=re.DOTALL)
    text = re.sub(r"{{\s*(.*?)\s*}}", lambda match: f"‹{gap(match[1])}›", text, flags=re.DOTALL)
    return cell(" ".join(text.split()))


def gap(expression: str) -> str:
    """Name what fills a gap: evidence.pm2 or 'pm2' -> pm2."""
    return re.split(r"[\s|(]", expression.replace("evidence.", ""), maxsplit=1)[0]


def with_table(readme: str, begin: str, lines: Iterable[str], end: str) -> str:
    """Return the text of a README with the table between its two marks brought up to date."""
    before, found, rest = readme.partition(begin)
    _old, ended, after = rest.partition(end)
    if not (found and ended):
        sys.exit(f"a README lacks the lines '{begin}' and '{end}'")
    return "\n".join([before + begin, "", *lines, "", end + after])


def areas() -> list[str]:
    """Return the table of areas: what the second paragraph of each area's docstring says."""
    return table(("Area", "What is checked"), ((f"`{area}`", cell(what_is_checked(area))) for area in _registry.REGISTERED))


def what_is_checked(area: str) -> str:
    """Return what an area says of itself, in one line."""
    path = CHECKOUT / "plugins/module_utils/_areas" / area / "area.py"
    paragraphs = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")
    if len(paragraphs) < 2:
        sys.exit(f"{path.relative_to(CHECKOUT)}: the docstring has no second paragraph, which says what is checked")
    return " ".join(paragraphs[1].split())


def inputs(specs: Mapping[str, Any]) -> list[str]:
    """Return the table of a role's inputs."""
    rows = ((f"`{name}`", kind_of(spec), default_of(spec), markdown(spec["description"])) for name, spec in specs.items())
    return table(("Name", "Type", "Default", "Meaning"), rows)


def options(specs: Mapping[str, Any]) -> list[str]:
    """Return the table of the variables of a run."""
    rows = ((f"`{name}`", default_of(spec), markdown(spec["description"])) for name, spec in specs.items())
    return table(("Name", "Default", "Meaning"), rows)


def kind_of(spec: Mapping[str, Any]) -> str:
    """Return `list of str`, `int`, ..."""
    kind = spec.get("type", "str")
    return f"{kind} of {spec['elements']}" if spec.get("elements") else kind


def default_of(spec: Mapping[str, Any]) -> str:
    """Return the default as it would be written, or that there must be a value."""
    if spec.get("required"):
        return "required"
    return f"`{spec['default']}`" if spec.get("default") not in (None, "") else "-"


def markdown(description: str | Iterable[str]) -> str:
    """Turn Ansible's markup, C(this) and V(that), into Markdown."""
    text = description if isinstance(description, str) else " ".join(description)
    return cell(re.sub(r"\b[A-Z]\(([^()]*)\)", r"`\1`", text))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    head = tuple(head)
    return [f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *(tuple(map(in_table, row)) for row in rows))]


def in_table(text: str) -> str:
    """Keep a bar from ending a table's cell; GitHub's Markdown wants that inside of code, too."""
    return text.replace("|", "\\|")


def cell(text: str) -> str:
    """Keep a text from being read as a table's or HTML's syntax."""
    return text.replace("<", "&lt;").strip()


def anchor(heading: str) -> str:
    """Return the anchor that Markdown viewers give a heading."""
    return re.sub(r"[^\w-]", "", heading.lower())


def main(arguments: list[str]) -> int:
    """Write, or with --check compare."""
    old = {path: text for path, text in documents().items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    for path, text in old.items():
        if "--check" in arguments:
            print(f"{path.relative_to(CHECKOUT)} is not current; run `make docs`")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(CHECKOUT)}")
    return int(bool(old) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
