//! Examples for each command, each a line that can be pasted. Help and man pages show them; how they are shown is theirs.

/// An example.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// What it is for; empty where the line says so.
    pub remark: &'static str,
    /// What is typed, in one line.
    pub line: &'static str,
}

const fn example(remark: &'static str, line: &'static str) -> Example {
    Example { remark, line }
}

/// Those of a command, by its name as it is typed after `lifeboat`; of the program itself by an empty one.
pub fn examples_of(command: &str) -> &'static [Example] {
    EXAMPLES.iter().find(|(name, _)| *name == command).map_or(&[], |(_, examples)| examples)
}

const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            example("rehearse an outage in one process", "lifeboat demo"),
            example(
                "export what a control plane sends, and be the relay for its nodes",
                "lifeboat run --export on --import on --storage s3://backups/kong --kong-version 3.9.1 --control-plane \
                 cp.example.com:8005 --cluster-cert /etc/kong/cluster.crt --cluster-cert-key /etc/kong/cluster.key",
            ),
        ],
    ),
    (
        "run",
        &[
            example(
                "export what the control plane sends",
                "lifeboat run --export on --storage s3://backups/kong --kong-version 3.9.1 --control-plane \
                 cp.example.com:8005 --cluster-cert /etc/kong/cluster.crt --cluster-cert-key /etc/kong/cluster.key",
            ),
            example(
                "be the relay for nodes, with settings from the environment and from Kong's own file",
                "KONG_CLUSTER_FALLBACK_CONFIG_IMPORT=on lifeboat run --kong-conf /etc/kong/kong.conf",
            ),
        ],
    ),
    (
        "status",
        &[
            example("this host's lifeboat", "lifeboat status"),
            example("several, again and again", "lifeboat status --watch 10.0.3.7:8115 http://10.0.3.8:8115"),
            example("for a program", "lifeboat status --output json"),
        ],
    ),
    (
        "healthcheck",
        &[
            example("", "lifeboat healthcheck"),
            example("whether nodes are served", "lifeboat healthcheck --for relay"),
            example("", "lifeboat healthcheck --for export --timeout 10s --http-listen 127.0.0.1:8116"),
        ],
    ),
    (
        "export",
        &[
            example(
                "what the control plane has now",
                "lifeboat export --from cp --storage s3://backups/kong --kong-version 3.9.1 --control-plane \
                 cp.example.com:8005 --cluster-cert cluster.crt --cluster-cert-key cluster.key",
            ),
            example("", "lifeboat export --from file:kong.yml --storage s3://backups/kong --kong-version 3.9.1"),
            example(
                "each configuration that a node without a database comes to run",
                "lifeboat export --from dbless:http://127.0.0.1:8001 --watch --storage s3://backups/kong",
            ),
            example(
                "an emergency change while the control plane is gone",
                "lifeboat export --from file:kong.yml --pin --storage s3://backups/kong --kong-version 3.9.1",
            ),
        ],
    ),
    (
        "import",
        &[
            example(
                "",
                "lifeboat import --storage s3://backups/kong --kong-version 3.9.1 --prefix /usr/local/kong --control-plane \
                 cp.example.com:8005 --cluster-cert cluster.crt --cluster-cert-key cluster.key",
            ),
            example(
                "without cloud credentials, and without asking the control plane",
                "lifeboat import --ticket ticket --always --kong-version 2.8.5 --prefix /usr/local/kong",
            ),
            example(
                "whenever a node without a database is empty",
                "lifeboat import --dbless http://127.0.0.1:8001 --watch --storage s3://backups/kong",
            ),
        ],
    ),
    (
        "exec",
        &[
            example("with the settings of Kong and lifeboat in the environment", "lifeboat exec -- kong docker-start"),
            example(
                "",
                "lifeboat exec --storage s3://backups/kong --kong-conf /etc/kong/kong.conf --kong-version 3.9.1 -- \
                 kong start --conf /etc/kong/kong.conf",
            ),
        ],
    ),
    (
        "presign",
        &[
            example("", "lifeboat presign --storage s3://backups/kong > ticket"),
            example("", "lifeboat presign 41 --expires-in 3d --storage s3://backups/kong --kong-version 3.9.1"),
        ],
    ),
    (
        "doctor",
        &[
            example(
                "",
                "lifeboat doctor --export on --storage s3://backups/kong --kong-version 3.9.1 --control-plane \
                 cp.example.com:8005 --cluster-cert cluster.crt --cluster-cert-key cluster.key",
            ),
            example("for a program, with the settings in the environment", "lifeboat doctor --output json"),
        ],
    ),
    (
        "list",
        &[
            example("", "lifeboat list --storage s3://backups/kong"),
            example("", "lifeboat list --storage file:///var/lib/lifeboat --output json"),
        ],
    ),
    (
        "show",
        &[
            example("the published one", "lifeboat show --storage s3://backups/kong"),
            example("", "lifeboat show 41 --storage s3://backups/kong --kong-version 3.9.1 --output json"),
            example("its configuration, secrets masked", "lifeboat show --config --storage s3://backups/kong"),
            example(
                "byte for byte, secrets included",
                "lifeboat show 41 --config --reveal-secrets --output-file kong.json --storage s3://backups/kong",
            ),
        ],
    ),
    (
        "verify",
        &[
            example("the published one", "lifeboat verify --storage s3://backups/kong"),
            example("", "lifeboat verify 41 --storage s3://backups/kong --kong-version 3.9.1"),
            example("", "lifeboat verify --all --storage s3://backups/kong --output json"),
        ],
    ),
    (
        "diff",
        &[
            example("with the published one", "lifeboat diff 41 --storage s3://backups/kong"),
            example("", "lifeboat diff 40 41 --storage s3://backups/kong --kong-version 3.9.1 --output json"),
            example("what a file would change", "lifeboat diff published file:kong.yml --storage s3://backups/kong"),
        ],
    ),
    (
        "release",
        &[
            example("the newest held one", "lifeboat release --storage s3://backups/kong --kong-version 3.9.1"),
            example("", "lifeboat release 42 --storage s3://backups/kong --kong-version 3.9.1"),
        ],
    ),
    (
        "rollback",
        &[
            example("", "lifeboat rollback 41 --storage s3://backups/kong --kong-version 3.9.1"),
            example(
                "that also stays when the control plane's configuration changes",
                "lifeboat rollback 41 --hard --storage s3://backups/kong --kong-version 3.9.1",
            ),
        ],
    ),
    (
        "pin",
        &[
            example("the published one", "lifeboat pin --storage s3://backups/kong --kong-version 3.9.1"),
            example("", "lifeboat pin 41 --storage s3://backups/kong --kong-version 3.9.1"),
        ],
    ),
    ("unpin", &[example("", "lifeboat unpin --storage s3://backups/kong --kong-version 3.9.1")]),
    (
        "prune",
        &[
            example("list them", "lifeboat prune --storage s3://backups/kong --kong-version 3.9.1"),
            example(
                "delete all but 30 snapshots and those that they need",
                "lifeboat prune --yes --history 30 --storage s3://backups/kong --kong-version 3.9.1",
            ),
        ],
    ),
    (
        "drill",
        &[
            example(
                "",
                "lifeboat drill --storage s3://backups/kong --kong-version 3.9.1 --cluster-cert cluster.crt \
                 --cluster-cert-key cluster.key",
            ),
            example("with the settings of lifeboat run in the environment", "lifeboat drill --no-kong --output json"),
            example(
                "for a cron job beside node_exporter",
                "lifeboat drill --metrics-file /var/lib/node_exporter/lifeboat-drill.prom",
            ),
        ],
    ),
    (
        "demo",
        &[
            example("", "lifeboat demo"),
            example("with a store of your own", "lifeboat demo --storage s3://backups/kong"),
            example("its control plane alone", "lifeboat demo control-plane --folder rehearsal"),
            example("a data plane that starts empty", "lifeboat demo node --folder rehearsal --once"),
        ],
    ),
    (
        "demo control-plane",
        &[
            example("", "lifeboat demo control-plane --folder rehearsal"),
            example(
                "back with another configuration",
                "lifeboat demo control-plane --folder rehearsal --sends changed",
            ),
        ],
    ),
    ("demo node", &[example("", "lifeboat demo node --folder rehearsal --connect 127.0.0.1:8005 --once")]),
    (
        "keygen",
        &[
            example("", "lifeboat keygen signing --name prod-2026 --folder /etc/lifeboat"),
            example("", "lifeboat keygen encryption --name prod-2026 > lifeboat.env"),
        ],
    ),
    (
        "schema",
        &[
            example("", "lifeboat schema settings > settings.schema.json"),
            example("", "lifeboat schema outputs > outputs.schema.json"),
            example("", "lifeboat schema http > lifeboat.openapi.json"),
        ],
    ),
    (
        "completions",
        &[
            example("bash", "lifeboat completions bash > /etc/bash_completion.d/lifeboat"),
            example(
                "zsh, into a folder of its fpath",
                "lifeboat completions zsh > /usr/local/share/zsh/site-functions/_lifeboat",
            ),
            example("fish", "lifeboat completions fish > ~/.config/fish/completions/lifeboat.fish"),
        ],
    ),
    (
        "man",
        &[
            example("read it here", "lifeboat man | man -l -"),
            example("install all pages", "lifeboat man --folder /usr/local/share/man/man1"),
        ],
    ),
];
