"""shell-gpt: the key and the address in its .sgptrc.

Source: its config.py and handlers (1.5, 2026-11): each variable of the shell wins over the file;
API_BASE_URL=default is OpenAI; with USE_LITELLM the model's prefix says whose key it is.
"""

from pathlib import Path

from nexo_sources import accounts, keys, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.reading import shown

_ADDRESS = "API_BASE_URL"
_DEFAULT = "default"


def own_file() -> Path:
    """The settings file."""
    return Path.home() / ".config/shell_gpt/.sgptrc"


def address(settings: dict[str, str]) -> str:
    """The address in the settings; empty for the default one."""
    url = settings.get(_ADDRESS, "")
    return "" if url == _DEFAULT else url


def find(file: Path | None = None) -> Found:
    """The account in .sgptrc."""
    path = file or own_file()
    settings, problems = accounts.variables_in(path)
    key, url = settings.get("OPENAI_API_KEY", ""), address(settings)
    if not key and not url:
        return problems
    elsewhere = reading.addresses().get(_ADDRESS, url or _DEFAULT) != (url or _DEFAULT)
    model = settings.get("DEFAULT_MODEL", "")
    owner, _, rest = model.partition("/") if settings.get("USE_LITELLM") == "true" else ("", "", model)
    account = Account(
        name=owner if rest and owner else "openai",
        place=shown(path),
        dialect="" if rest and owner else "openai",
        url=url,
        key=key,
        variables=("OPENAI_API_KEY",),
        model=rest or model,
        # A variable of that name may also belong to another program.
        address_unknown=f"{_ADDRESS} of the shell may set its address; add it with --base-url"
        if elsewhere
        else "",
    )
    return problems + accounts.found([account], reading.environment(), syntax=keys.LITERAL)
