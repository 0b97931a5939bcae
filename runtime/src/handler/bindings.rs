//! Generated host bindings for `wit/worker.wit`: one world that has every import and every export of the contract, so that which
//! export a component has is tested, not assumed. Used by `instance` and `host_calls` alone.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package sharemill:host;
        world host {
            include sharemill:worker/imports@0.1.0;
            export sharemill:worker/record-handler@0.1.0;
            export sharemill:worker/record-batch-handler@0.1.0;
            export sharemill:worker/lifecycle@0.1.0;
        }
    ",
    world: "sharemill:host/host",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: {
        "sharemill:worker/lease@0.1.0.renew": async | trappable,
        "sharemill:worker/producer@0.1.0.send": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
