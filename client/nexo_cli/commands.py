"""The table of commands: `nexoctl --help` lists it, and dispatch finds each command's module in it.

To add a command, add a row here and `cmds/<module>.py` with `configure` and `run`.
"""

from collections import namedtuple

# Not a dataclass or NamedTuple, because importing either costs more than all of `--help`.
Command = namedtuple("Command", ["name", "module", "group", "summary"])

CONNECTIONS = "Connections"
WORKSPACES = "Programs and workspaces"
HEALTH = "Health"
DAEMON = "The daemon and its store"
OTHER = "More"

COMMANDS: tuple[Command, ...] = (
    Command("add", "add", CONNECTIONS, "add a connection: test it, then save it"),
    Command("edit", "edit", CONNECTIONS, "change a connection: test the change, then save it"),
    Command("list", "list", CONNECTIONS, "list the connections"),
    Command("show", "show", CONNECTIONS, "show one connection; --reveal shows its secrets"),
    Command("test", "test", CONNECTIONS, "test connections layer by layer, or an unsaved draft"),
    Command("default", "default", CONNECTIONS, "show, switch or undo the default connection"),
    Command("models", "models", CONNECTIONS, "list the models that a connection offers"),
    Command("remove", "remove", CONNECTIONS, "remove a connection"),
    Command("settings", "settings", CONNECTIONS, "open the settings screen in your browser"),
    Command("import", "import_", CONNECTIONS, "import connections from other programs"),
    Command("providers", "providers", CONNECTIONS, "list the providers and presets"),
    Command("run", "run", WORKSPACES, "run a program with a connection's variables in its environment"),
    Command("resolve", "resolve", WORKSPACES, "print a connection, secrets included"),
    Command("which", "which", WORKSPACES, "say which connection a directory gets, and why"),
    Command("workspace", "workspace", WORKSPACES, "bind directories and names to connections"),
    Command(
        "gateway", "gateway", WORKSPACES, "let programs follow switches without a key, and set them up for it"
    ),
    Command("token", "token", WORKSPACES, "make and revoke the tokens that programs hold instead of a key"),
    Command("usage", "usage", WORKSPACES, "show the requests and tokens that went through the gateway"),
    Command("handouts", "handouts", WORKSPACES, "list the programs that got a secret, and when"),
    Command("health", "health", HEALTH, "show the health of the connections"),
    Command("history", "history", HEALTH, "show uptime, latency and changes over time"),
    Command("wait", "wait", HEALTH, "wait until a connection is healthy, for scripts"),
    Command("fallback", "fallback", HEALTH, "choose stand-ins for when the default is down"),
    Command("pause", "pause", HEALTH, "pause the background checks"),
    Command("resume", "resume", HEALTH, "resume the background checks"),
    Command("watch", "watch", HEALTH, "print events as they happen"),
    Command("status", "status", DAEMON, "show the state of the daemon"),
    Command("doctor", "doctor", DAEMON, "find problems on this computer, and print the fixes"),
    Command("daemon", "daemon", DAEMON, "start, stop or restart the daemon; read its log"),
    Command("vault", "vault", DAEMON, "show and change how the stored keys are unlocked"),
    Command("store", "store", DAEMON, "check, back up and restore the store"),
    Command("export", "export", DAEMON, "write all connections to a file, with or without the secrets"),
    Command("demo", "demo", OTHER, "see it all work, in a temporary directory"),
    Command("completion", "completion", OTHER, "print the completion script of a shell"),
)

# Not typed by people: `nexoctl` without arguments.
HIDDEN: tuple[Command, ...] = (Command("overview", "overview", OTHER, "suggest the next command"),)


def find(name: str) -> Command | None:
    """The command of that name."""
    return next((command for command in (*COMMANDS, *HIDDEN) if command.name == name), None)
