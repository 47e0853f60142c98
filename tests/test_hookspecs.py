from __future__ import annotations

import inspect

import pluggy
import pytest

import sam_toolkit
from sam_toolkit import hookspecs

HOOKS = {name: value for name, value in vars(hookspecs).items() if name.startswith("sam_toolkit_")}


def test_every_hook_is_documented_and_known_to_the_host():
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    assert HOOKS
    for name, hook in HOOKS.items():
        assert hasattr(manager.hook, name)
        assert inspect.getdoc(hook)
        assert inspect.signature(hook).return_annotation is not inspect.Signature.empty


def test_a_misspelt_hook_is_found_out():
    class Misspelt:
        @hookspecs.hookimpl
        def sam_toolkit_component(self):
            return []

    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(Misspelt())
    with pytest.raises(pluggy.PluginValidationError, match="sam_toolkit_component"):
        manager.check_pending()


def test_the_marker_that_plugins_import_is_this_one():
    assert sam_toolkit.hookimpl is hookspecs.hookimpl
    assert hookspecs.hookimpl.project_name == hookspecs.GROUP == "sam_toolkit"
