//! The S3 store in a process of its own: this program, started with another argument. It ends with whoever started it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use lifeboat_fakes::store::{S3Store, S3StoreOptions};

pub(crate) const ARGUMENT: &str = "store";
pub(crate) const BUCKET: &str = "kong";
pub(crate) const ACCESS_KEY: &str = "AKIDLIFEBOAT";
pub(crate) const SECRET_KEY: &str = "wonderful-storage-secret";

/// A running store. Dropping it ends it.
pub(crate) struct StoreProcess {
    child: Child,
    endpoint: String,
}

impl StoreProcess {
    pub(crate) fn start(folder: &Path) -> Self {
        let this = std::env::current_exe().expect("a program knows where it is");
        let mut command = Command::new(this);
        command.arg(ARGUMENT).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the store starts");
        let mut endpoint = String::new();
        let output = child.stdout.take().expect("it was asked for");
        BufReader::new(output).read_line(&mut endpoint).expect("the store says where it is");
        Self { child, endpoint: endpoint.trim().to_owned() }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for StoreProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until nobody holds the other end of standard input any more.
#[expect(clippy::print_stdout, reason = "its address is all that it says")]
pub(crate) fn serve(folder: &Path) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    let options = S3StoreOptions {
        folder: folder.to_owned(),
        bucket: BUCKET.to_owned(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
    };
    let store = runtime.block_on(S3Store::start(&options)).expect("the store starts");
    println!("{}", store.endpoint());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}
