"""The public names."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields

import pytest

import evenhand
from evenhand.audit.design import Design
from evenhand.audit.ingest.table import audit
from evenhand.audit.ingest.table_records import TableRequest
from evenhand.methods import METHODS


def test_every_public_name_is_there():
    for name in evenhand.__all__:
        assert callable(getattr(evenhand, name)), name


def test_every_method_has_a_public_name():
    assert {method.__name__ for method in METHODS.values()} <= set(evenhand.__all__)


def test_naming_a_method_loads_no_torch():
    code = "import sys, evenhand; evenhand.DPLoRA(epsilon=8.0); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_results_are_read_without_drawing_training_or_heavy_statistics():
    heavy = {"altair", "jinja2", "pandas", "scipy.optimize", "scipy.stats", "torch"}
    code = f"import sys, evenhand.audit.results; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_audit_lists_and_describes_every_keyword_and_refuses_others():
    keywords = {
        name: parameter.default
        for name, parameter in inspect.signature(audit).parameters.items()
        if name not in ("frame", "out")
    }
    assert keywords == {field.name: field.default for field in fields(TableRequest)}
    described = inspect.getdoc(audit) or ""
    assert all(f"\n    {name}: " in described for name in keywords)
    with pytest.raises(TypeError, match="lable"):
        evenhand.audit([], lable="y")


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: evenhand.LoRA(rnk=3), r'^LoRA has no key "rnk"; did you mean "rank"\?$'),
        (lambda: evenhand.Full(lr="much"), r"^Full\.lr should be a number, not 'much'$"),
        (lambda: evenhand.DPLoRA(epsilon=0), r"^DPLoRA\.epsilon should be greater than 0, not 0$"),
        (lambda: evenhand.Study(taks="synthetic/posts"), r'^the study has no key "taks"; did you mean "task"\?$'),
        (lambda: Design(setings={}), r'^Design has no key "setings"; did you mean "settings"\?$'),
    ],
)
def test_what_is_built_in_python_is_refused_in_a_sentence_as_a_study_file_is(build, sentence):
    with pytest.raises(evenhand.InputError, match=sentence):
        build()
