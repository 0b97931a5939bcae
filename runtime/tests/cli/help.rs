//! Help texts and usage errors, word for word.

use crate::support::Folder;

fn run(arguments: &[&str]) -> String {
    Folder::new().run(arguments)
}

#[test]
fn overview() {
    insta::assert_snapshot!(run(&["--help"]), @"
    exit 0
    --- stdout
    Run WebAssembly handlers over share groups.

    A handler's return value is its record's acknowledgement. Data goes to stdout, everything else to
    stderr. Exit codes: 0 done, 1 failed, 2 called wrongly. --format json prints one object; what a
    command lists is an array in it, named after what it lists. Its keys are written with _, but for
    those of config show, which are a manifest's.

    Usage: sharemill <COMMAND>

    Commands:
      demo         Run the example handlers, kill the host once, and check every count
      new          Make a project for a handler
      run          Run the deployments of a manifest
      produce      Append records to a topic
      topic        List, describe, create and delete topics
      group        List, describe, reset and delete share groups
      records      Show the state of a group's records
      dead         List, show and redrive dead letters
      archived     List what a group of a Kafka cluster has given up, and copy it
      config       Check or show the manifest
      invoke       Run one record through a component, without an engine
      test         Run the records of files through a component and compare what becomes of them
      doctor       Say why nothing is consumed from a Kafka cluster
      verify       Read everything on disk and report damage
      crash-test   Kill a loaded engine again and again and check that nothing is lost
      module       Look into a component
      wit          Write the contract between host and handlers, as WIT
      completions  Print the completions for a shell
      man          Write the man pages, one for each command

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(run(&["--version"]), @"
    exit 0
    --- stdout
    sharemill [VERSION]
    ");
}

#[test]
fn commands() {
    insta::assert_snapshot!(run(&["run", "--help"]), @"
    exit 0
    --- stdout
    Run the deployments of a manifest

    Usage: sharemill run [OPTIONS]

    Options:
          --manifest <FILE>
              Manifest to read [env: SHAREMILL_MANIFEST] [default: sharemill.toml]

          --until-idle
              End when every record is handled and nothing is parked

          --metrics <ADDR>
              Serve Prometheus text at http://ADDR/metrics; port 0 takes a free one [env:
              SHAREMILL_METRICS]

          --drain-timeout <DURATION>
              What running handlers get to finish after the first signal, 0s to 1h [manifest default:
              30s]

          --log-format <FORMAT>
              How log lines look [env: SHAREMILL_LOG_FORMAT] [manifest default: text]

              Possible values:
              - text: For people
              - json: One JSON object a line

          --log <LEVEL>
              Least severe level that is logged, or a filter [env: SHAREMILL_LOG] [manifest default:
              info]

      -h, --help
              Print help (see a summary with '-h')

    At level info the log names, for each deployment, up to 10 dead letters and one failed attempt a
    second, and how many more there were. When the host ends, a line for each deployment sums up.
    ");
    insta::assert_snapshot!(run(&["produce", "--help"]), @r#"
    exit 0
    --- stdout
    Append records to a topic

    Usage: sharemill produce [OPTIONS] <TOPIC> [VALUE]...

    Arguments:
      <TOPIC>
              Topic to append to

      [VALUE]...
              Values, one record each

    Options:
          --file <FILE>
              File of values, one a line; - for standard input

          --ndjson <FILE>
              File of JSON objects, one a line; - for standard input

          --from-line <NUMBER>
              Line at which to begin, from 1: to go on where an earlier produce was cut off

          --key <KEY>
              Key of every record that has none

          --header <NAME=VALUE>
              Header of every record; may be given several times

          --partition <NUMBER>
              Partition of every record that names none [default: by key, else in turn]

          --timestamp <MS>
              Timestamp of every record that has none, milliseconds since 1970 [default: now]

          --timeout <DURATION>
              How long to wait for room in a topic, journal or disk that is full, since the last record
              was taken, 0s to 1h

              [default: 30s]

          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')

    Without values, --file or --ndjson, standard input is read, one value a line. A line that can never
    be stored is refused and does not stop those after it. Where a topic, the journal or the disk is
    full, everything waits in its order; what gets no room in time ends the command, which then says up
    to where all is stored. With --format json every line has a line of its own on stdout: where it is,
    or why not.

    NDJSON: one object a line, all fields optional:
      {"key": "k", "value": "text or any JSON", "headers": {"name": "value"}, "partition": 0,
      "timestamp": 1700000000000}
      "key_base64" and "value_base64" carry bytes; a missing value is a null value.
    "#);
    insta::assert_snapshot!(run(&["topic", "--help"]), @"
    exit 0
    --- stdout
    List, describe, create and delete topics

    Usage: sharemill topic <COMMAND>

    Commands:
      list      List all topics
      describe  Show one topic with its partitions and groups
      read      Print the records of a topic; takes none away
      create    Create a topic; settings it is not given come from the defaults of the manifest
                reference
      delete    Delete a topic with all its records

    Options:
      -h, --help  Print help
    ");
    insta::assert_snapshot!(run(&["topic", "create", "--help"]), @"
    exit 0
    --- stdout
    Create a topic; settings it is not given come from the defaults of the manifest reference

    Usage: sharemill topic create [OPTIONS] <TOPIC>

    Arguments:
      <TOPIC>
              Topic

    Options:
          --partitions <NUMBER>
              Number of partitions, 1 to 1000

              [default: 1]

          --retention <RETENTION>
              queue, forever, or a duration such as 7d [default: 7d]

          --max-bytes <SIZE>
              What it may hold on disk, 1MiB to 1024TiB [default: 10GiB]

          --on-full <ACTION>
              What happens when it is full [default: refuse]

              Possible values:
              - refuse:      Producing fails
              - drop-oldest: The oldest records go, processed or not

          --segment-bytes <SIZE>
              Size at which a new segment begins, 64KiB to 1GiB and at most half of --max-bytes
              [default: 64MiB, or a quarter of --max-bytes if that is less]

          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(run(&["group", "--help"]), @"
    exit 0
    --- stdout
    List, describe, reset and delete share groups

    Usage: sharemill group <COMMAND>

    Commands:
      list      List all share groups
      describe  Show one group with its share partitions
      reset     Set a group back or forward; checkpoints are dropped
      delete    Delete a group; what nobody else needs of what it has settled is not handed out again

    Options:
      -h, --help  Print help
    ");
    insta::assert_snapshot!(run(&["group", "reset", "--help"]), @"
    exit 0
    --- stdout
    Set a group back or forward; checkpoints are dropped

    Usage: sharemill group reset [OPTIONS] --to <POSITION> <GROUP>

    Arguments:
      <GROUP>
              Share group

    Options:
          --to <POSITION>
              earliest, latest, by-duration:AGE (such as by-duration:1h) or offset:NUMBER

          --topic <TOPIC>
              Only this topic [default: every topic of the group, on a cluster but for its retry topic]

          --partition <NUMBER>
              Only this partition; needs --topic [default: every partition]

          --force
              Reset it while a host works on it: nothing new begins, what runs has 30 s to end, and
              counts for nothing afterwards if it has not. A cluster's group has to be empty all the
              same

          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(run(&["archived", "--help"]), @"
    exit 0
    --- stdout
    List what a group of a Kafka cluster has given up, and copy it

    Usage: sharemill archived [OPTIONS] --group <GROUP>
           sharemill archived <COMMAND>

    Commands:
      list     List them, as archived does by itself
      recover  Copy them to a topic: key, value, headers and timestamp as they are

    Options:
          --group <GROUP>
              Share group

          --topic <TOPIC>
              Only this topic [default: every topic of the group]

          --partition <NUMBER>
              Only this partition [default: every partition]

          --from <OFFSET>
              Begin at this offset [default: the oldest that is known]

          --limit <COUNT>
              Records to show at most, 1 to 10000

              [default: 100]

          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')

    Works on any group of a Kafka cluster of 4.2.1 or newer, one that Sharemill never joined as well.
    Needs READ on the topic __share_group_state, in which brokers keep what became of single records;
    what they have cut off there is no longer known, and is said to be so. An embedded engine keeps dead
    letters instead: see dead list.
    ");
    insta::assert_snapshot!(run(&["archived", "recover", "--help"]), @"
    exit 0
    --- stdout
    Copy them to a topic: key, value, headers and timestamp as they are

    Usage: sharemill archived recover [OPTIONS] --group <GROUP> --to <TOPIC>

    Options:
          --group <GROUP>
              Share group

          --topic <TOPIC>
              Only this topic [default: every topic of the group]

          --partition <NUMBER>
              Only this partition [default: every partition]

          --from <OFFSET>
              Begin at this offset [default: the oldest that is known]

          --to <TOPIC>
              Topic to copy them to; it has to exist

          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')

    The records stay where they are, and archived: a second call copies them again. If it is cut off, it
    names the first record that was not copied, to go on with --topic, --partition and --from.
    ");
    insta::assert_snapshot!(run(&["records", "--help"]), @"
    exit 0
    --- stdout
    Show the state of a group's records

    Usage: sharemill records [OPTIONS] [GROUP]

    Arguments:
      [GROUP]
              Share group

    Options:
          --group <GROUP>
              Share group

          --topic <TOPIC>
              Only this topic [default: every topic of the group]

          --partition <NUMBER>
              Only this partition [default: every partition]

          --state <STATE>
              Only these states; may be given several times [default: all]

              Possible values:
              - available:    May be acquired
              - parked:       Waits for its delay or renewal to be over
              - acquired:     Leased by a member
              - acknowledged: Accepted
              - archived:     Rejected or given up
              - unknown:      Of a cluster: held by a member, or never delivered
              - finished:     Of a cluster: finished, its outcome no longer known

          --from <OFFSET>
              Begin at this offset [default: the group's start offset]

          --limit <COUNT>
              Records to show at most, 1 to 10000

              [default: 100]

          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')

    DELIVERIES are the attempts so far, the one under way included. LEASE LEFT is what the member has
    until the record is taken from it, DUE IN what a parked record still waits. STRIKES are the hosts
    that died with it, CHECKPOINT is what its handler left with a renewal. group describe shows the
    offsets from START to LOG END.

    On a Kafka cluster states are read from the topic __share_group_state, of any group. It does not
    tell what a member holds from what was never delivered. With --from below the start offset, what is
    still known of finished records is shown.
    ");
    insta::assert_snapshot!(run(&["dead", "--help"]), @"
    exit 0
    --- stdout
    List, show and redrive dead letters

    Usage: sharemill dead <COMMAND>

    Commands:
      list     List dead letters
      show     Show one dead letter with everything known about it
      redrive  Append dead letters to the topic they came from and take them out, in one step

    Options:
      -h, --help  Print help
    ");
    insta::assert_snapshot!(run(&["dead", "redrive", "--help"]), @"
    exit 0
    --- stdout
    Append dead letters to the topic they came from and take them out, in one step

    Usage: sharemill dead redrive [OPTIONS] [ID]...

    Arguments:
      [ID]...
              Dead letters as dead list names them: TOPIC/PARTITION/OFFSET

    Options:
          --all
              Every dead letter, or every one that --group, --topic and --cause leave

          --group <GROUP>
              Only those of this share group

          --topic <TOPIC>
              Only those in this dead-letter topic

          --cause <CAUSE>
              Only those with this cause

              Possible values:
              - reject:         the handler rejected it
              - release:        the handler released it in its last attempt
              - trap:           the guest trapped in the last attempt
              - out-of-memory:  the guest was refused memory in the last attempt
              - deadline:       the last attempt took longer than deadline
              - max-lease:      the last attempt, renewals and parking included, took longer than
                max-lease
              - limit:          the last attempt passed another limit, or its outcome can never be taken
              - exit:           the guest called exit in the last attempt
              - host-crash:     the process died twice while it was handled, or panicked over it
              - delivery-limit: the lease of the last attempt ran out
              - retention:      retention or a full topic dropped it before it was done
              - unreadable:     its bytes could not be read, in any attempt

          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')

    The record goes to the end of its topic, for every group that reads it, with all its attempts before
    it, and a header sharemill.origin that names where it was first.

    On a Kafka cluster it takes two steps: the record is produced, then the letter is marked. A process
    that ends between them leaves the letter where it is, and redriving it again produces the record
    once more.
    ");
    insta::assert_snapshot!(run(&["config", "--help"]), @"
    exit 0
    --- stdout
    Check or show the manifest

    Usage: sharemill config <COMMAND>

    Commands:
      check   Name everything that is wrong with the manifest and its components, and what it has left
              over
      show    Print the manifest with every default
      schema  Print a JSON Schema of the manifest, for editors

    Options:
      -h, --help  Print help
    ");
    insta::assert_snapshot!(run(&["config", "show", "--help"]), @"
    exit 0
    --- stdout
    Print the manifest with every default

    Usage: sharemill config show [OPTIONS]

    Options:
          --manifest <FILE>
              Manifest to read [env: SHAREMILL_MANIFEST] [default: sharemill.toml]

          --format <FORMAT>
              How the manifest is printed

              Possible values:
              - toml: TOML, to be used as a manifest again
              - json: JSON

              [default: toml]

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(run(&["invoke", "--help"]), @r#"
    exit 0
    --- stdout
    Run one record through a component, without an engine

    Usage: sharemill invoke [OPTIONS] <COMPONENT>

    Arguments:
      <COMPONENT>
              Component file, or - for the deployment's own

    Options:
          --record <FILE>
              File with one record as JSON, in the form that produce --ndjson reads; - for standard
              input

          --value <VALUE>
              Value of the record

          --key <KEY>
              Key of the record

          --header <NAME=VALUE>
              Header of the record; may be given several times

          --topic <TOPIC>
              Topic that the record is said to come from [default: the deployment's, else "invoke"]

          --attempt <COUNT>
              Delivery count that the handler sees, from 1

              [default: 1]

          --checkpoint <FILE>
              File with the checkpoint of an earlier renewal

          --deployment <NAME>
              Deployment of the manifest whose settings, limits and grants hold; without it nothing is
              granted to a file, and - is the only deployment's

          --manifest <FILE>
              Manifest to read [env: SHAREMILL_MANIFEST] [default: sharemill.toml]

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')
    "#);
    insta::assert_snapshot!(run(&["verify", "--help"]), @"
    exit 0
    --- stdout
    Read everything on disk and report damage

    Usage: sharemill verify [OPTIONS]

    Options:
          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(run(&["crash-test", "--help"]), @"
    exit 0
    --- stdout
    Kill a loaded engine again and again and check that nothing is lost

    Usage: sharemill crash-test [OPTIONS]

    Options:
          --for <DURATION>
              How long processes are killed, 1s to 7d; working off and checking the rest comes on top

              [default: 60s]

          --kills <COUNT>
              End after so many kills, if that is sooner

          --seed <NUMBER>
              Seed of what is drawn; when it happens differs from run to run [default: a random one]

          --data-dir <DIR>
              New or empty folder for the test's data [default: a new one among the temporary files]

          --keep
              Keep the data also when all is well

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')

    A process of this program opens the embedded engine, produces, acquires, accepts, releases, parks
    and rejects, and is killed with SIGKILL at random moments, some of them while it recovers from the
    kill before. What it was acknowledged is written down outside of it. After each restart and at the
    end, after everything was worked off, all of that is compared with what is there: nothing that was
    acknowledged may be gone, nothing that was accepted may come again, and no delivery count may fall.
    A record whose answer was under way at a kill may be either.

    What counts as unanswered was found to be durable although a kill came before the answer. At the
    end, what was produced, with and without an answer, is together what was accepted, with and without
    an answer, and the dead letters.

    Exit code 1 if any of this does not hold; 3 if nothing of the kind was seen and the test came to no
    end, be it for a disk that is full or fails, a machine that ran short, a folder that somebody
    deleted, or Ctrl-C. In all these cases the data is kept, and named, but after one Ctrl-C: that ends
    the test early, checks what was done for up to 15 s, and tells the result so far. A second one does
    not wait for that. A loss of power is not tried: the operating system outlives every kill. What lies
    in memory (tmpfs), as temporary files often do, says nothing of a disk; then the result tells so.
    ");
    insta::assert_snapshot!(run(&["module", "inspect", "--help"]), @"
    exit 0
    --- stdout
    List what a component exports and imports, and what it is not granted

    Usage: sharemill module inspect [OPTIONS] <COMPONENT>

    Arguments:
      <COMPONENT>
              Component file, or - for the deployment's own

    Options:
          --deployment <NAME>
              Deployment of the manifest whose grants are compared; without it nothing is granted

          --manifest <FILE>
              Manifest to read [env: SHAREMILL_MANIFEST] [default: sharemill.toml]

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(run(&["new", "--help"]), @"
    exit 0
    --- stdout
    Make a project for a handler

    Usage: sharemill new [OPTIONS] [NAME]

    Arguments:
      [NAME]
              Name of the project, the package and the deployment; of its folder, which must not be
              there or be empty

    Options:
          --lang <LANG>
              Language of the handler

              Possible values:
              - rust: Rust

      -h, --help
              Print help (see a summary with '-h')

    Makes the folder NAME with handler, manifest, records with their expected outcomes, and a README
    that says how it is built. At a terminal what is not given is asked for.
    ");
    insta::assert_snapshot!(run(&["test", "--help"]), @r#"
    exit 0
    --- stdout
    Run the records of files through a component and compare what becomes of them

    Usage: sharemill test [OPTIONS] [FILTER]

    Arguments:
      [FILTER]
              Only records with this in their name or in FILE:LINE

    Options:
          --records <PATH>
              File of records, or folder of such files, *.ndjson; those of deployment NAME may be in a
              folder NAME, this one or one below it [default: records beside the manifest]

          --deployment <NAME>
              Deployment whose component, settings, limits and grants hold [default: the only one]

          --component <FILE>
              Component file in place of the deployment's; - for its own

          --from-dead-letter <TOPIC/PARTITION/OFFSET>
              Replay this dead letter instead, and say what would become of it if it were redriven now;
              it stays where it lies. Requests are sent with its own idempotency key

          --manifest <FILE>
              Manifest that names the data directory or the cluster [env: SHAREMILL_MANIFEST] [default:
              sharemill.toml]

          --data-dir <DIR>
              Data directory; no manifest is read [env: SHAREMILL_DATA_DIR]

          --bootstrap <HOST:PORT>
              Brokers of a Kafka cluster, separated by commas; no manifest is read

          --property <NAME=VALUE>
              Property of librdkafka for --bootstrap, may be given several times; other users see
              passwords: keep them in a manifest's secrets

          --format <FORMAT>
              How the answer is printed

              Possible values:
              - table: Aligned columns
              - json:  JSON

              [default: table]

      -h, --help
              Print help (see a summary with '-h')

    Runs each record through the built component with the deployment's settings, limits and grants, in
    an instance of its own. Nothing is produced. Requests to servers that are granted are sent, with an
    idempotency key that begins with test:. Exit code 1 if a record comes to something else than its
    file expects, 2 if a file has lines that are no such records.

    A record file (*.ndjson) has one JSON object a line. Its fields are those of produce --ndjson (key,
    value, headers, partition, timestamp, key_base64, value_base64) and these, of which only expect is
    required:
      "name"             what the record is called here
      "topic"            where it is said to come from; the deployment's topic otherwise
      "delivery_count"   which attempt it is, from 1
      "checkpoint"       what an earlier renewal left, or "checkpoint_base64"
      "expect"           an outcome, or an object with it and more

    What an expectation does not mention is not compared:
      "outcome"          accept, release, reject, renew, or trap, out-of-memory, deadline, limit, exit
      "after"            the delay of a release or renew, such as "30s"; null: none of its own
      "reason"           all of it; "reason_contains": a part of it
      "checkpoint"       what a renew leaves, or "checkpoint_base64"
      "emits"            all records that it emits, in order: topic, and what else is given of each
      "sends"            the same of what it sends

    A value that is no text is compared as JSON, in whatever order its keys are and however its numbers
    are written; integers of more than 64 bits are rounded, so that a value with them is to be given as
    text. With --data-dir or --bootstrap a dead letter is asked for there; the deployment is the
    manifest's all the same.

    {"value": {"unit": "K"}, "expect": {"outcome": "reject", "reason_contains": "K"}}
    "#);
    insta::assert_snapshot!(run(&["wit", "--help"]), @"
    exit 0
    --- stdout
    Write the contract between host and handlers, as WIT

    Usage: sharemill wit [OPTIONS] <DIR>

    Arguments:
      <DIR>  Folder to write into; made if it is not there

    Options:
          --force  Write over files that differ
      -h, --help   Print help

    Writes DIR/worker.wit, package sharemill:worker with its worlds, and in DIR/deps the interface by
    which handlers read their settings. wit-bindgen, jco and componentize-py take DIR as it is:
    wit-bindgen c DIR --world handler.
    ");
}

#[test]
fn wrong_usage() {
    insta::assert_snapshot!(run(&["produc"]), @"
    exit 2
    --- stderr
    error: unrecognized subcommand 'produc'

      tip: some similar subcommands exist: 'group', 'produce'

    Usage: sharemill <COMMAND>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["records", "g", "--limit", "0"]), @"
    exit 2
    --- stderr
    error: invalid value '0' for '--limit <COUNT>': 0 is not in 1..=10000

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["records", "g", "--state", "lost"]), @"
    exit 2
    --- stderr
    error: invalid value 'lost' for '--state <STATE>'
      [possible values: available, parked, acquired, acknowledged, archived, unknown, finished]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["run", "--drain-timeout", "2h"]), @"
    exit 2
    --- stderr
    error: invalid value '2h' for '--drain-timeout <DURATION>': above the limit of 1h

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["run", "--metrics", "somewhere"]), @"
    exit 2
    --- stderr
    error: invalid value 'somewhere' for '--metrics <ADDR>': expected an address and a port, such as 127.0.0.1:9464

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["group", "reset", "g", "--to", "earliest", "--partition", "1"]), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      --topic <TOPIC>

    Usage: sharemill group reset --to <POSITION> --topic <TOPIC> --partition <NUMBER> <GROUP>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["crash-test", "--for", "8d"]), @"
    exit 2
    --- stderr
    error: invalid value '8d' for '--for <DURATION>': above the limit of 7d

    For more information, try '--help'.
    ");
    assert!(run(&[]).starts_with("exit 2\n--- stderr\n"));
}
