//! The keys of what a handler is given: settings, secrets, grants, and the bounds of what it does with them.

use super::{Fallback, Key, Kind, Shape, key};
use crate::config::values::names::Rule;
use Fallback::{Is, Nothing, Required};
use Kind::{Choice, Duration, Form, Integer, Names, Path, Size, Table, Tables};

/// In the order in which the reference and `config show` print them, behind all others.
pub(super) const KEYS: &[Key] = &[
    key(
        "deployments.*.http",
        Table,
        Nothing,
        "Bounds of the requests that the handler sends, where `grants.http` lets it send any. All end with the call that they belong to.",
    ),
    key(
        "deployments.*.http.connections",
        Integer { min: 1, max: 1_000 },
        Is("32"),
        "Connections at a time, over all records of the deployment in this process; each request has its own. One that finds none free waits for `connect-timeout`. A call has 16 of them at most.",
    ),
    key(
        "deployments.*.http.connect-timeout",
        Duration { min: "10ms", max: "5m" },
        Is("5s"),
        "What a free connection, the server's address, the connection and TLS may take together. The handler can ask for less, here as below.",
    ),
    key(
        "deployments.*.http.first-byte-timeout",
        Duration {
            min: "10ms",
            max: "24h",
        },
        Is("20s"),
        "How long sending the request and waiting for the response's head may take.",
    ),
    key(
        "deployments.*.http.between-bytes-timeout",
        Duration {
            min: "10ms",
            max: "24h",
        },
        Is("10s"),
        "How long the next part of a response's body may take.",
    ),
    key(
        "deployments.*.http.header-bytes",
        Size {
            min: "8KiB",
            max: "1MiB",
        },
        Is("16KiB"),
        "Path and headers of a request; status and headers of a response.",
    ),
    key(
        "deployments.*.http.request-bytes",
        Size {
            min: "1KiB",
            max: "1GiB",
        },
        Is("4MiB"),
        "Body of a request.",
    ),
    key(
        "deployments.*.http.response-bytes",
        Size {
            min: "1KiB",
            max: "1GiB",
        },
        Is("4MiB"),
        "Body of a response.",
    ),
    key(
        "deployments.*.settings",
        Table,
        Nothing,
        "Names and values passed to the handler's `configure`.",
    ),
    key(
        "deployments.*.settings.*",
        Form(Shape::Scalar),
        Nothing,
        "One setting; passed as text.",
    ),
    key(
        "deployments.*.secrets",
        Table,
        Nothing,
        "Values that `wasi:config` answers with, as those of `grants.config`, but that belong in no manifest. Where the host repeats what a handler says (log, reasons, traps, metrics), it writes `***` for them.",
    ),
    key(
        "deployments.*.secrets.*",
        Form(Shape::Secret),
        Nothing,
        "Where the value is read from at a start, 8 B to 64 KiB; a line end behind it is cut off. It is never printed.",
    ),
    key(
        "deployments.*.grants",
        Table,
        Nothing,
        "What the handler may reach; nothing by default.",
    ),
    key(
        "deployments.*.grants.emit",
        Names(Rule::Topic),
        Nothing,
        "Topics that it may produce to.",
    ),
    key(
        "deployments.*.grants.files",
        Tables,
        Nothing,
        "Folders that it may open.",
    ),
    key(
        "deployments.*.grants.files[].host",
        Path,
        Required,
        "Folder on this machine; it must exist.",
    ),
    key(
        "deployments.*.grants.files[].guest",
        Form(Shape::AbsolutePath),
        Required,
        "Where the handler sees it; no two may overlap.",
    ),
    key(
        "deployments.*.grants.files[].access",
        Choice(&["read", "read-write"]),
        Is("read"),
        "What it may do there.",
    ),
    key(
        "deployments.*.grants.http",
        Tables,
        Nothing,
        "Servers that it may send requests to, by `wasi:http/outgoing-handler`. A redirect is not followed: where the handler follows it, that is another request. A component that imports `wasi:http` is refused without.",
    ),
    key(
        "deployments.*.grants.http[].url",
        Form(Shape::Origin),
        Required,
        "The server, by scheme, name or address, and port. A name is looked up for each request, and the request goes to the very address that was checked: private, loopback, link-local and other addresses that are not public are refused, unless they stand here (`localhost` for those of this machine) or in `addresses`.",
    ),
    key(
        "deployments.*.grants.http[].methods",
        Names(Rule::Method),
        Required,
        "Methods that it may use there, such as `[\"GET\", \"POST\"]`.",
    ),
    key(
        "deployments.*.grants.http[].addresses",
        Form(Shape::Networks),
        Nothing,
        "Addresses that are not public and that the name may have all the same.",
    ),
    key(
        "deployments.*.grants.config",
        Table,
        Nothing,
        "Values that `wasi:config` answers with.",
    ),
    key(
        "deployments.*.grants.config.*",
        Form(Shape::Scalar),
        Nothing,
        "One value; answered as text.",
    ),
    key(
        "deployments.*.grants.env",
        Table,
        Nothing,
        "Environment variables of the handler.",
    ),
    key(
        "deployments.*.grants.env.*",
        Form(Shape::TextOrFrom),
        Nothing,
        "The value, or the name of a variable of the host whose value is passed on (not for secrets: they belong in `secrets`, whose values are masked).",
    ),
];
