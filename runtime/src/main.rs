//! The `sharemill` command: starts the runtime, runs what was asked, ends with its exit code.

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sharemill::{cli, output};

fn main() -> ExitCode {
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(cli::main(std::env::args_os()));
            // A thread may wait for standard input for ever.
            runtime.shutdown_background();
            exit.into()
        }
        Err(error) => {
            let failure = output::Failure::new(format!("cannot start the asynchronous runtime: {error}"));
            output::failure(&failure);
            failure.exit().into()
        }
    }
}

/// To what this process is allowed: every file of a journal is held open, and many systems start programs with few.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // It stays as it is then; the engine says so where that is too few.
    let _ = setrlimit(Resource::Nofile, raised);
}
