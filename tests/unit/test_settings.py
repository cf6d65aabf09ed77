"""Settings: sources, order, and what a wrong one is told."""

import re
from pathlib import Path

import pytest

from mirror.errors import ConfigurationError
from mirror.settings import Settings
from mirror.sources import environment_name, load_settings, unknown_environment

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(environment_name(name), raising=False)


def refusal(*args: Path, **overrides: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(*args, **overrides)
    return str(caught.value)


def test_command_line_over_environment_over_file_over_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mirror.toml"
    file.write_text('concurrency = 3\nmax_attempts = 4\nmax_rate = "20MB"\n')
    assert load_settings().concurrency == 256
    assert load_settings(file).concurrency == 3
    monkeypatch.setenv("MIRROR_CONCURRENCY", "5")
    settings = load_settings(file)
    assert (settings.concurrency, settings.max_attempts, settings.max_rate) == (5, 4, 20_000_000)
    assert load_settings(file, concurrency=7, max_rate=None).concurrency == 7


def test_a_wrong_setting_is_named_with_its_source_and_what_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mirror.toml"
    file.write_text("concurrency = 0\n")
    said = refusal(file)
    assert "concurrency" in said
    assert str(file) in said
    assert "greater than or equal to 1" in said
    monkeypatch.setenv("MIRROR_READ_TIMEOUT", "soon")
    said = refusal()
    assert said == "MIRROR_READ_TIMEOUT in the environment is 'soon': a number is allowed."
    said = refusal(max_rate="fast")
    assert "--max-rate on the command line" in said
    assert "20MB" in said
    assert "'text'" in refusal(log_format="xml")


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_CONCURRENCY", "many")
    monkeypatch.setenv("MIRROR_LOG_LEVEL", "loud")
    assert len(refusal().splitlines()) == 2


def test_an_unknown_setting_in_the_file_is_named_with_the_likely_one(tmp_path: Path) -> None:
    file = tmp_path / "mirror.toml"
    file.write_text("concurency = 3\n")
    assert "did you mean concurrency" in refusal(file)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "can't be read"), (b"= 3", "not TOML"), (b"\xff", "not TOML")]
)
def test_an_unusable_file_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "mirror.toml"
    if content is not None:
        file.write_bytes(content)
    assert said in refusal(file)


@pytest.mark.parametrize(
    "domain",
    [
        "http://savant.example.com",
        "ftp://savant.example.com",
        "savant.example.com",
        "https://",
        "https://user:secret@savant.example.com",
        "https://savant.example.com?x=1",
    ],
)
def test_attack_09_only_https_but_for_loopback(domain: str) -> None:
    assert "SAVANT_DOMAIN" in refusal(domain=domain) or "--domain" in refusal(domain=domain)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:9"])
def test_a_loopback_domain_may_be_http(host: str) -> None:
    settings = load_settings(domain=f"http://{host}/")
    assert settings.loopback
    assert not settings.domain.endswith("/")


@pytest.mark.parametrize(
    "template",
    [
        "{frame_id}.png",
        "/{root_id}/{frame_id}.png",
        "{root_id}/../{frame_id}.png",
        "{root_id}/{frame_id}{name}.png",
        "{root_id}/{frame_id",
        ".mirror/{root_id}/{frame_id}.png",
        "{root_id}//{frame_id}.png",
        "{root_id}/{frame_id:>300}.png",
    ],
)
def test_attack_01_a_template_stays_inside_the_destination(template: str) -> None:
    assert "path_template" in refusal(path_template=template).replace("-", "_")


def test_modes_are_octal() -> None:
    assert load_settings(file_mode="0640", dir_mode="750").file_mode == 0o640
    assert "octal" in refusal(file_mode="rw-r-----")


def test_attack_25_the_network_needs_a_token() -> None:
    assert "http_token" in refusal(http_host="0.0.0.0")
    assert load_settings(http_host="0.0.0.0", http_token="t").http_host == "0.0.0.0"
    for blank in ("", " ", "\t", "a b", "secret\n"):
        told = refusal(http_host="0.0.0.0", http_token=blank)
        assert "http-token" in told
        assert "at least one" in told


def test_credentials_name_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SAVANT_USERNAME and SAVANT_PASSWORD"):
        load_settings().credentials()
    with pytest.raises(ConfigurationError, match="SAVANT_PASSWORD"):
        load_settings(username="u").credentials()
    with pytest.raises(ConfigurationError, match="can't be read"):
        load_settings(username="u", password_file=tmp_path / "none").credentials()
    secret = tmp_path / "secret"
    secret.write_text("")
    with pytest.raises(ConfigurationError, match="is empty"):
        load_settings(username="u", password_file=secret).credentials()
    secret.write_text("s3cret\n")
    name, password = load_settings(username="u", password_file=secret).credentials()
    assert (name, password.get_secret_value()) == ("u", "s3cret")


def test_two_passwords_of_one_source_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAVANT_PASSWORD", "s3cret")
    monkeypatch.setenv("SAVANT_PASSWORD_FILE", "/run/secret")
    said = refusal()
    assert "both set" in said
    assert "s3cret" not in said
    assert load_settings(password="other").password_file is None


def test_a_higher_sources_password_hides_a_lower_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mirror.toml"
    file.write_text('password_file = "/run/secret"\n')
    monkeypatch.setenv("SAVANT_PASSWORD", "s3cret")
    assert load_settings(file).password_file is None


def test_attack_22_no_secret_in_what_settings_show() -> None:
    settings = load_settings(username="u", password="s3cret-canary", http_token="t0ken-canary")
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_a_misspelt_variable_is_told_and_kubernetes_own_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MIRROR_CONCURENCY", "MIRROR_PORT", "MIRROR_SERVICE_HOST", "MIRROR_PORT_80_TCP"):
        monkeypatch.setenv(name, "1")
    (said,) = unknown_environment()
    assert "MIRROR_CONCURENCY" in said
    assert "MIRROR_CONCURRENCY" in said


def test_the_document_names_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \|", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: (variable, default) for name, variable, default in rows}
    assert set(documented) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        variable, default = documented[name]
        assert variable == environment_name(name)
        assert default.strip("`") == _shown(name, field.default), name


def _shown(name: str, default: object) -> str:
    if default is None or default == ():
        return "none"
    if name.endswith("_mode"):
        return f"0{default:o}"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)
