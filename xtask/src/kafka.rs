//! `cargo xtask kafka up | down | status`: real Kafka brokers on loopback to try things out with. All that it does is in
//! `kafka_cluster`, which tests use as well; here are the words.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use kafka_cluster::{Look, Options, Standing, Version};

use crate::guests;

/// Start, end or look at a Kafka cluster on this machine.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Fetch Kafka, start brokers, and return when they answer.
    Up(Up),
    /// Kill the brokers; their logs stay until the next start.
    Down(Place),
    /// Say which brokers run.
    Status(Place),
}

#[derive(clap::Args)]
struct Up {
    #[command(flatten)]
    place: Place,
    /// Release of Apache Kafka: 4.2.1 or 4.4.0.
    #[arg(long, value_name = "VERSION", default_value_t)]
    version: Version,
    /// How many; each is a controller as well.
    #[arg(long, value_name = "N", default_value_t = 1)]
    brokers: u32,
    /// Listeners with TLS, with SASL (PLAIN, SCRAM, OAUTHBEARER) and with both, and ACLs.
    #[arg(long)]
    tls_sasl: bool,
    /// Brokers that know nothing of share groups.
    #[arg(long)]
    no_share_groups: bool,
    /// The first listener's port; the others follow [default: free ones].
    #[arg(long)]
    port: Option<u16>,
    /// Heap of each broker, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 384)]
    heap: u32,
    /// With the optimising compiler and the collector that Java chooses, for measurements.
    #[arg(long)]
    optimised: bool,
    /// A line of server.properties, KEY=VALUE; may be given again.
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

#[derive(clap::Args)]
struct Place {
    /// Where the cluster's files lie [default: target/kafka/up].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How the answer is printed.
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    format: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Up(up) => start(up),
        Command::Down(place) => end(place),
        Command::Status(place) => match place.standing().look()? {
            Some(look) => place.print(&look),
            None if place.is_json() => print(&serde_json::json!({"brokers": []}).to_string()),
            None => {
                say(&format!("no cluster in {}", place.dir().display()));
                Ok(())
            }
        },
    }
}

/// The cluster of this repository, if one runs.
pub(crate) fn standing() -> Standing {
    Standing::at(default_dir())
}

fn default_dir() -> PathBuf {
    guests::target_dir().join("kafka").join("up")
}

fn start(up: &Up) -> Result<()> {
    let began = Instant::now();
    let cluster = up.place.standing().up(Options {
        version: up.version,
        brokers: up.brokers,
        tls_sasl: up.tls_sasl,
        share_groups: !up.no_share_groups,
        port: up.port,
        heap_mib: up.heap,
        optimised: up.optimised,
        settings: up.set.iter().cloned().collect(),
        ..Options::default()
    })?;
    if cluster.already {
        say("it runs already");
    } else {
        say(&format!("started in {:.1} s", began.elapsed().as_secs_f64()));
    }
    up.place.print(&cluster.look)
}

fn end(place: &Place) -> Result<()> {
    let ended = place.standing().down()?;
    if place.is_json() {
        return print(&serde_json::to_string_pretty(&ended)?);
    }
    if ended.ended.is_empty() && ended.gone.is_empty() {
        say(&format!("no cluster in {}", place.dir().display()));
    }
    for pid in &ended.ended {
        print(&format!("ended process {pid}"))?;
    }
    for pid in &ended.gone {
        print(&format!("process {pid} had ended by itself"))?;
    }
    Ok(())
}

impl Place {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(default_dir)
    }

    fn standing(&self) -> Standing {
        Standing::at(self.dir())
    }

    fn is_json(&self) -> bool {
        self.format == "json"
    }

    fn print(&self, look: &Look) -> Result<()> {
        if self.is_json() {
            return print(&serde_json::to_string_pretty(look)?);
        }
        let mut lines = vec![
            format!("version    {}", look.version),
            format!("folder     {}", look.dir.display()),
            format!("bootstrap  {}", look.bootstrap),
        ];
        if let Some(login) = &look.tls_sasl {
            lines.push(format!("tls, sasl  {}", login.bootstrap));
            lines.push(format!("authority  {}", login.authority.display()));
            let (users, mechanisms) = (login.users.join(", "), login.mechanisms.join(", "));
            lines.push(format!("users      {users}; password {}; {mechanisms}", login.password));
        }
        lines.push(format!("\nBROKER  {:>7}  STATE    {:<21}  LOG", "PID", "ADDRESS"));
        for broker in &look.brokers {
            lines.push(format!(
                "{:>6}  {:>7}  {:<7}  {:<21}  {}",
                broker.id,
                broker.pid,
                broker.state,
                broker.address,
                broker.log.display()
            ));
        }
        print(&lines.join("\n"))
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or("KEY=VALUE is expected")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn print(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// What programs do not read; a closed standard error is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "kafka: {text}");
}
