//! A producer outside of the host's process: sends records over the admin socket for as long as the host lives, and
//! writes down what was confirmed before it counts it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sharemill::admin::{
    Admin as _, AdminClient, AdminError, ErrorCode, PRODUCE_BUFFER, ProduceOutcome, ProduceResult, Record,
};
use tokio::sync::mpsc;

/// Makes the record of a number.
pub type Make = fn(u64) -> Record;

/// Sends to one topic what it is allowed to, until it is told to stop; over every end of the host.
#[derive(Debug)]
pub struct Producer {
    stop: Arc<AtomicBool>,
    allowed: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    confirmed: PathBuf,
    thread: JoinHandle<BTreeSet<String>>,
}

/// What a producer knows at its end.
#[derive(Debug)]
pub struct Produced {
    /// Numbers below were sent, once each.
    pub sent: u64,
    /// Numbers whose record the host said it has.
    pub confirmed: BTreeSet<u64>,
    /// What the host said of records that it refused.
    pub refused: BTreeSet<String>,
}

impl Producer {
    /// Begins; confirmed numbers go to the file `confirmed`, one a line.
    pub fn start(data: &Path, topic: &str, confirmed: PathBuf, make: Make) -> Self {
        let (stop, allowed, sent) = <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let (data, topic) = (data.to_owned(), topic.to_owned());
        let mut journal = File::create(&confirmed).unwrap();
        let until = stop.clone();
        let limit = allowed.clone();
        let counter = sent.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut refused = BTreeSet::new();
                while !until.load(Ordering::Relaxed) {
                    if let Ok(Some(client)) = AdminClient::connect(&data).await {
                        let said = stream(&client, &topic, &counter, &until, &limit, make, &mut journal).await;
                        refused.extend(said);
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                refused
            })
        });
        Self {
            stop,
            allowed,
            sent,
            confirmed,
            thread,
        }
    }

    /// Records sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Lets it send so many more from now on; then it waits.
    pub fn allow(&self, more: u64) {
        self.allowed.store(self.sent() + more, Ordering::Relaxed);
    }

    /// Stops and reads back what was written down.
    pub fn stop(self) -> Produced {
        self.stop.store(true, Ordering::Relaxed);
        let refused = self.thread.join().unwrap();
        let text = std::fs::read_to_string(self.confirmed).unwrap();
        Produced {
            sent: self.sent.load(Ordering::Relaxed),
            confirmed: text.lines().map(|line| line.parse().unwrap()).collect(),
            refused,
        }
    }
}

/// One connection: ends when it breaks. Returns what the host said of records that it refused.
async fn stream(
    client: &AdminClient,
    topic: &str,
    counter: &AtomicU64,
    stop: &AtomicBool,
    allowed: &AtomicU64,
    make: Make,
    journal: &mut File,
) -> BTreeSet<String> {
    let (records, taken) = mpsc::channel(PRODUCE_BUFFER);
    let (results, mut answers) = mpsc::channel::<ProduceResult>(PRODUCE_BUFFER);
    // Numbers in the order of the stream, which is the order of the results.
    let (numbers, mut asked) = mpsc::unbounded_channel::<u64>();
    let send = async move {
        while !stop.load(Ordering::Relaxed) {
            if counter.load(Ordering::Relaxed) >= allowed.load(Ordering::Relaxed) {
                tokio::select! {
                    () = records.closed() => return,
                    () = tokio::time::sleep(Duration::from_millis(5)) => continue,
                }
            }
            let number = counter.fetch_add(1, Ordering::Relaxed);
            let _ = numbers.send(number);
            if records.send(make(number)).await.is_err() {
                return;
            }
        }
    };
    let note = async {
        let mut refused = BTreeSet::new();
        while let Some(result) = answers.recv().await {
            let number = asked.recv().await.unwrap();
            match result.outcome {
                ProduceOutcome::Stored { .. } => journal.write_all(format!("{number}\n").as_bytes()).unwrap(),
                ProduceOutcome::Refused { error } => drop(refused.insert(error.message)),
            }
        }
        refused
    };
    // How the stream ends is of no interest: what has no result is not known to be stored.
    let ((), _, refused) = tokio::join!(send, client.produce(topic, Duration::ZERO, taken, results), note);
    refused
}

/// Waits until somebody answers for a data directory.
pub async fn connect(data: &Path) -> AdminClient {
    loop {
        if let Ok(Some(client)) = AdminClient::connect(data).await {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Produces one record and waits for its answer, but for no room.
pub async fn produce_one(client: &AdminClient, topic: &str, record: Record) -> Result<ProduceOutcome, AdminError> {
    let (records, taken) = mpsc::channel(1);
    let (results, mut answers) = mpsc::channel(1);
    let send = async {
        drop(records.send(record).await);
        drop(records);
    };
    let ((), produced, answer) = tokio::join!(
        send,
        client.produce(topic, Duration::ZERO, taken, results),
        answers.recv()
    );
    match answer {
        Some(result) => Ok(result.outcome),
        None => match produced.unwrap_err() {
            error if error.code == ErrorCode::Full => Ok(ProduceOutcome::Refused { error }),
            error => Err(error),
        },
    }
}
