from __future__ import annotations

import importlib.metadata
import sys
from types import SimpleNamespace

import pytest
from faults import methods, pair_metrics
from strangers import SOURCE, good, install

from sam_toolkit import builtins
from sam_toolkit.component import KINDS, Method, PairMetric
from sam_toolkit.errors import PluginError
from sam_toolkit.registry import Registry, default_registry

REALLY_INSTALLED = importlib.metadata.entry_points(group="sam_toolkit").names


def loaded(*blocked):
    """Return a host with the plugins that a test installed, and none that the developer did."""
    registry = Registry()
    registry.load_entry_points([*REALLY_INSTALLED, *blocked])
    return registry


def plugin(*components):
    return SimpleNamespace(sam_toolkit_components=lambda: components)


def named(base, name):
    return type(base.__name__, (base,), {"name": name, "__doc__": "Another."})


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Give a folder that is on sys.path and forget what was imported from it."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]


def test_an_installed_plugin_is_found_with_its_distribution(site):
    install(site, "sam-strange", {"strange": ("strange_module", good("stranger"))})
    registry = loaded()
    found = registry.get(Method, "stranger")
    assert (found.__module__, found.__name__) == ("strange_module", "Stranger")
    entry = next(entry for entry in registry.entries(Method) if entry.component is found)
    assert (entry.plugin, entry.distribution) == ("strange", "sam-strange 1.2")
    assert registry.failures == []


def test_loading_again_adds_nothing(site):
    install(site, "sam-strange", {"strange": ("strange_module", good("stranger"))})
    registry = loaded()
    before = registry.entries()
    registry.load_entry_points(REALLY_INSTALLED)
    assert registry.entries() == before
    assert registry.failures == []


def test_entry_points_of_others_are_left_alone(site):
    install(site, "other", {"strange": ("not_ours", "raise AssertionError")}, group="console_scripts")
    loaded()
    assert "not_ours" not in sys.modules


def test_a_blocked_plugin_is_not_even_imported(site):
    install(site, "sam-strange", {"strange": ("strange_module", good("stranger"))})
    registry = loaded("strange")
    assert "strange_module" not in sys.modules
    with pytest.raises(PluginError, match="no method 'stranger'"):
        registry.get(Method, "stranger")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("", "PluginError: Plugin 'bad' has no hook `sam_toolkit_components`"),
        (SOURCE.format(name="ok", body="raise KeyError('weights')"), "KeyError: 'weights'"),
        (SOURCE.format(name="ok", body="return None"), "TypeError"),
        (SOURCE.format(name="ok", body="return [dict(name='ok')]"), "gives {'name': 'ok'}, which is none of Method"),
        (good("Not_Kebab"), r"Stranger.name must be kebab-case; got 'Not_Kebab'"),
    ],
)
def test_a_plugin_that_fails_is_reported_and_the_others_are_loaded(site, source, error):
    install(site, "sam-bad", {"bad": ("bad_module", source)})
    install(site, "sam-strange", {"strange": ("strange_module", good("stranger"))})
    registry = loaded()
    assert registry.get(Method, "stranger")
    (failure,) = registry.failures
    assert (failure.plugin, failure.distribution) == ("bad", "sam-bad 1.2")
    assert error in failure.error
    with pytest.raises(PluginError, match=r"Plugin 'bad' could not be loaded \("):
        registry.get(Method, "wanted")


@pytest.mark.parametrize(("interface", "said"), [(2, "upgrade sam-toolkit"), (0, "upgrade the plugin")])
def test_a_plugin_for_another_interface_says_so_and_the_others_are_loaded(site, interface, said):
    modules = {"other": ("other_plugin", f"SAM_TOOLKIT_INTERFACE = {interface}"), "fine": ("fine_plugin", good("fine"))}
    install(site, "two-plugins", modules)
    registry = loaded()
    (failure,) = registry.failures
    assert (failure.plugin, failure.distribution) == ("other", "two-plugins 1.2")
    assert f"interface {interface} of sam-toolkit" in failure.error
    assert said in failure.error
    assert registry.get(Method, "fine")


@pytest.mark.parametrize(
    ("interface", "said"),
    [("7", "interface 7 of sam-toolkit, and this version has 1: upgrade sam-toolkit"), ("1", "cannot import name")],
)
def test_a_plugin_that_asks_for_names_of_another_interface_is_told_from_a_broken_one(site, interface, said):
    source = f"from sam_toolkit import OfTheFuture\n\nSAM_TOOLKIT_INTERFACE = {interface}\n"
    install(site, "sam-future", {"future": ("future_plugin", source)})
    (failure,) = loaded().failures
    assert said in failure.error


def test_an_interface_that_is_no_number_is_refused(site):
    install(site, "sam-odd", {"odd": ("odd_plugin", "SAM_TOOLKIT_INTERFACE = '1'")})
    (failure,) = loaded().failures
    assert "SAM_TOOLKIT_INTERFACE must be an integer, such as 1; got '1'" in failure.error


def test_a_slow_plugin_is_named_while_it_loads(site, monkeypatch, caplog):
    monkeypatch.setattr("sam_toolkit.registry._NOTICE", 0.1)
    install(site, "sam-slow", {"slow": ("slow_plugin", f"import time; time.sleep(0.5)\n{good('slow')}")})
    registry = loaded()
    assert registry.get(Method, "slow")
    assert "Still loading plugin 'slow' (sam-slow 1.2)" in caplog.text


def test_a_plugin_cannot_catch_the_end_of_its_time(site, monkeypatch):
    monkeypatch.setattr("sam_toolkit.registry._SECONDS", 0.2)
    source = "import time\ntry:\n    time.sleep(600)\nexcept Exception:\n    time.sleep(600)"
    install(site, "sleepers", {"asleep": ("stubborn_plugin", source)})
    (failure,) = loaded().failures
    assert "TimeoutError: it was not loaded within 0.2 s" in failure.error


def test_a_plugin_that_hangs_at_import_is_reported_and_the_others_are_loaded(site, monkeypatch):
    monkeypatch.setattr("sam_toolkit.registry._SECONDS", 0.5)
    modules = {"asleep": ("asleep_plugin", "import time; time.sleep(600)"), "fine": ("fine_plugin", good("fine"))}
    install(site, "sleepers", modules)
    registry = loaded()
    (failure,) = registry.failures
    assert failure.plugin == "asleep"
    assert "not loaded within 0.5 s" in failure.error
    assert registry.get(Method, "fine")


def test_two_plugins_of_one_name_are_not_confused(site):
    install(site, "sam-a", {"strange": ("module_a", good("first"))})
    install(site, "sam-b", {"strange": ("module_b", good("second"))})
    registry = loaded()
    (failure,) = registry.failures
    assert "another plugin is called 'strange' too" in failure.error
    assert len(registry.entries(Method)) == 1


def test_two_installed_components_of_one_name_are_an_error_that_names_both(site):
    install(site, "sam-a", {"plugin-a": ("module_a", good("same"))})
    install(site, "sam-b", {"plugin-b": ("module_b", good("same"))})
    expected = (
        r"the method 'same': module_b.Stranger of plugin 'plugin-b' \(sam-b 1.2\) and "
        r"module_a.Stranger of plugin 'plugin-a' \(sam-a 1.2\).*--no-plugin plugin-b"
    )
    with pytest.raises(PluginError, match=expected):
        loaded()
    registry = loaded("plugin-b")
    assert registry.get(Method, "same").__module__ == "module_a"


def test_a_clash_adds_nothing_of_the_second_plugin():
    registry = Registry()
    registry.register(plugin(methods.Smooth), "first")
    with pytest.raises(
        PluginError, match=r"methods.Smooth of plugin 'second' \(unpackaged\) and faults.methods.Smooth of"
    ):
        registry.register(plugin(pair_metrics.Cosine, methods.Smooth), "second")
    with pytest.raises(PluginError, match="no pair-metric 'cosine'"):
        registry.get(PairMetric, "cosine")


def test_a_clash_within_one_plugin_is_found():
    with pytest.raises(PluginError, match="Two components are the method 'smooth'"):
        Registry().register(plugin(methods.Smooth, named(methods.Smooth, "smooth")), "twice")


def test_kinds_have_names_of_their_own():
    registry = Registry()
    registry.register(plugin(methods.Smooth, named(pair_metrics.Cosine, "smooth")), "both")
    assert issubclass(registry.get(Method, "smooth"), Method)
    assert issubclass(registry.get(PairMetric, "smooth"), PairMetric)


@pytest.mark.parametrize("name", ["", "Smooth", "smooth_grad", "smooth grad"])
def test_a_name_that_is_not_kebab_case_is_refused(name):
    with pytest.raises(PluginError, match=f"must be kebab-case; got {name!r}"):
        Registry().register(plugin(named(methods.Smooth, name)), "plugin")


@pytest.mark.parametrize("component", [methods.Smooth(), dict, "smooth", None])
def test_what_is_no_component_is_refused(component):
    with pytest.raises(PluginError, match=r"Plugin 'plugin' gives .*, which is none of Method, Perturbation"):
        Registry().register(plugin(component), "plugin")


def test_a_plugin_without_the_hook_is_refused():
    with pytest.raises(PluginError, match="'empty' has no hook `sam_toolkit_components`"):
        Registry().register(SimpleNamespace(), "empty")


def test_a_plugin_is_registered_once():
    registry, empty = Registry(), plugin()
    registry.register(empty, "plugin")
    with pytest.raises(PluginError, match="'plugin' cannot be registered"):
        registry.register(empty, "plugin")


def test_an_unknown_name_is_answered_with_the_near_and_all_known_ones():
    registry = Registry()
    registry.register(plugin(methods.Smooth, named(methods.Smooth, "lime")), "plugin")
    with pytest.raises(PluginError, match=r"no method 'smoth'\. Did you mean 'smooth'\? Known: lime, smooth\.$"):
        registry.get(Method, "smoth")


def test_entries_are_sorted_and_may_be_of_one_kind():
    registry = Registry()
    registry.register(
        plugin(named(methods.Smooth, "zebra"), pair_metrics.Cosine, named(methods.Smooth, "ant")), "plugin"
    )
    assert [entry.component.name for entry in registry.entries()] == ["ant", "zebra", "cosine"]
    assert [entry.component.name for entry in registry.entries(PairMetric)] == ["cosine"]


def test_extended_leaves_the_original_as_it_is():
    registry = Registry()
    registry.register(plugin(methods.Smooth), "plugin")
    wider = registry.extended(pair_metrics.Cosine)
    assert wider.get(PairMetric, "cosine") is pair_metrics.Cosine
    assert wider.get(Method, "smooth") is methods.Smooth
    assert registry.entries(PairMetric) == []
    with pytest.raises(PluginError, match="Two components are the method 'smooth'"):
        registry.extended(named(methods.Smooth, "smooth"))


def test_built_in_components_come_through_the_hook_and_no_other_way():
    by_hand = Registry()
    by_hand.register(builtins, "sam_toolkit")
    shipped = default_registry(plugins=False)
    assert {entry.component for entry in by_hand.entries()} == {entry.component for entry in shipped.entries()}
    assert {entry.plugin for entry in shipped.entries()} == {"sam_toolkit"}
    assert {entry.component.kind for entry in shipped.entries()} == {kind.kind for kind in KINDS}


def test_installed_plugins_are_loaded_only_where_they_are_wanted(site):
    install(site, "sam-strange", {"strange": ("strange_module", good("stranger"))})
    default_registry.cache_clear()
    try:
        assert "stranger" not in {entry.component.name for entry in default_registry(plugins=False).entries()}
        assert "strange_module" not in sys.modules
        assert "stranger" in {entry.component.name for entry in default_registry().entries()}
        assert "stranger" not in {entry.component.name for entry in default_registry(blocked=("strange",)).entries()}
    finally:
        default_registry.cache_clear()
