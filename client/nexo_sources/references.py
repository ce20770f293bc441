"""Translates references to keys from the syntaxes of other tools into that of `--api-key-ref`.

Other programs have a dozen ways to say where a key is stored. A known form becomes a reference that fetches
the same key. For any other form only the beginning of the text is shown, because it may contain a secret.
"""

import re
import shlex

from nexo.connections.values import frozen

_NAME = r"[\w@%+=:,./ -]+"
# (form, equivalent reference); the user replaces the words in capitals.
_FORMS: tuple[tuple[str, str], ...] = (
    (r"(?P<a>op://[\w@%+=:,./ ?&-]+)", "command:op read {a}"),
    (r"(?P<a>ref\+[a-z][a-z0-9+.-]*://[\w@%+=:,./?&#-]+)", "command:vals get {a}"),
    (rf"pass:(?://)?(?P<a>{_NAME})", "command:pass show {a}"),
    (rf"gopass:(?://)?(?P<a>{_NAME})", "command:gopass show -o {a}"),
    (rf"(?:lpass|lastpass):(?://)?(?P<a>{_NAME})", "command:lpass show --password {a}"),
    (rf"bw:(?://)?(?P<a>{_NAME})", "command:bw get password {a}"),
    (r"doppler:(?://)?(?P<a>\w+)", "command:doppler secrets get {a} --plain"),
    (r"vault:(?://)?(?P<a>[\w./-]+)#(?P<b>\w+)", "command:vault kv get -field {b} {a}"),
    (r"chamber:(?://)?(?P<a>[\w.-]+)/(?P<b>[\w.-]+)", "command:chamber read -q {a} {b}"),
    (rf"keychain:(?://)?(?P<a>{_NAME})", "command:security find-generic-password -w -s {a}"),
    (r"keyring:(?://)?(?P<a>[^\s/]+/[^\s]+)", "keyring:{a}"),
    (
        r"(?P<a>arn:aws[\w-]*:secretsmanager:[\w:/+=.@-]+)",
        "command:aws secretsmanager get-secret-value --query SecretString --output text --secret-id {a}",
    ),
    (
        r"arn:aws[\w-]*:ssm:[\w-]*:\d*:parameter(?P<a>/[\w./-]+)",
        "command:aws ssm get-parameter --with-decryption --query Parameter.Value --output text --name {a}",
    ),
    (
        r"projects/(?P<a>[\w:.-]+)/secrets/(?P<b>[\w-]+)/versions/(?P<c>\w+)",
        "command:gcloud secrets versions access {c} --project {a} --secret {b}",
    ),
    (r"(?:file:(?://)?)?(?P<a>(?:~|/(?:run|etc|home|Users|var|opt|root))/[\w@%+=:,./ -]+)", "file:{a}"),
    (r"encrypted:.*", "command:dotenvx get VARIABLE -f FILE"),
    (r"ENC\[.*", "command:sops decrypt --extract '[\"NAME\"]' FILE"),
)
_COMPILED = tuple((re.compile(form), reference) for form, reference in _FORMS)
# Programs that print secrets; a reference that calls one may be proposed to the user.
_TOOLS = frozenset(
    """
    op pass gopass security secret-tool keyring vault vals sops age gpg bw bws rbw lpass doppler infisical aws
    gcloud az chamber dotenvx cat kubectl teller akeyless dcli keepassxc-cli summon berglas
    """.split()  # noqa: SIM905 - a list of words reads better
)
_COMMAND = re.compile(r"!\s*(?P<bang>.+)|\$\((?P<dollar>.+)\)|`(?P<ticks>.+)`|(?P<bare>\S+ .+)", re.DOTALL)
# Shell syntax, which a reference cannot contain because it is run without a shell.
_FOR_A_SHELL = re.compile(r"[|;&<>$`*?\n\r]")

# The beginnings of references to secret stores; the group is the part that may be shown.
_LEADS = re.compile(
    r"([a-z][a-z0-9+.-]*://|ref\+|encrypted:|ENC\[|!|\$\(|`|arn:aws|projects/[^/]+/secrets/"
    r"|(?:~|\.{1,2}|/(?:run|etc|home|Users|var|opt|root))/"
    r"|(?:pass|gopass|sops|vault|keyring|keychain|command|cmd|exec|file|env|secret|secrets|op|bw|bws|doppler"
    r"|infisical|lpass|lastpass|dashlane|akeyless|conjur|chamber|ssm|gcp|aws|azure|azurekv|kubernetes|k8s):)"
)


@frozen
class Lead:
    """A reference to a key, found where the key was expected.

    Attributes:
        shown: its beginning, which is safe to show.
        reference: the equivalent in the syntax of `--api-key-ref`; empty if there is none.
    """

    shown: str
    reference: str = ""


def read(text: str) -> Lead | None:
    """Parse a reference to a key; None if the text is not one."""
    tool = _command(text)
    start = _LEADS.match(text)
    if start is None and not tool:
        return None
    shown = start[1] if start else text.split()[0] + " "
    for form, reference in _COMPILED:
        if match := form.fullmatch(text):
            words = match.groupdict()
            if reference.startswith("command:"):
                words = {name: shlex.quote(value) for name, value in words.items() if value is not None}
            return Lead(shown, reference.format(**words))
    return Lead(shown, f"command:{tool}" if tool else "")


def _command(text: str) -> str:
    """The command in the text, if it calls a program in `_TOOLS` and needs no shell; otherwise empty."""
    match = _COMMAND.fullmatch(text.strip())
    command = next((group for group in match.groups() if group), "").strip() if match else ""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    fetches = bool(words) and words[0].rpartition("/")[2] in _TOOLS
    return command if fetches and not _FOR_A_SHELL.search(command) else ""
