//! Kills nodes at random moments of payments, and prints what came of it.
//!
//! ```text
//! cargo run --release -p tollway-ldk --example kill -- --paying 200 --receiving 100 --forwarding 50
//! ```
//!
//! `--seed N` repeats the dice of an earlier run (not the moments at which the machine does things).
//! Ends with 1 if a channel was lost, a payment made twice or left in doubt, or a node logged that
//! it has fallen behind; folders and logs are then kept.

mod trials;

use std::process::ExitCode;
use std::time::Instant;

use trials::{Failure, Victim};

struct Arguments {
    paying: usize,
    receiving: usize,
    forwarding: usize,
    seed: u64,
}

fn main() -> ExitCode {
    let ended = match std::env::var(trials::child::VARIABLE) {
        Ok(url) => trials::child::run(&url),
        Err(_) => parent(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parent() -> Result<(), Failure> {
    let Arguments { paying, receiving, forwarding, seed } = arguments()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("seed {seed}");
    let plan = [
        ("the paying node", Victim::Payer, paying),
        ("the receiving node", Victim::Receiver, receiving),
        ("the forwarding node", Victim::Forwarder, forwarding),
    ];
    for (name, victim, kills) in plan.into_iter().filter(|(.., kills)| *kills > 0) {
        let started = Instant::now();
        let counts = runtime.block_on(trials::run(victim, kills, seed, &[]))?;
        println!("{name}, {:.0} s\n{counts}", started.elapsed().as_secs_f64());
    }
    Ok(())
}

fn arguments() -> Result<Arguments, Failure> {
    let mut arguments = Arguments { paying: 0, receiving: 0, forwarding: 0, seed: 0 };
    let mut random = [0; 4];
    getrandom::fill(&mut random)?;
    arguments.seed = u32::from_le_bytes(random).into();
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{name} {value}: not a number"))?;
        match name.as_str() {
            "--paying" => arguments.paying = usize::try_from(number)?,
            "--receiving" => arguments.receiving = usize::try_from(number)?,
            "--forwarding" => arguments.forwarding = usize::try_from(number)?,
            "--seed" => arguments.seed = number,
            other => {
                let known = "--paying, --receiving, --forwarding and --seed";
                return Err(format!("{other} is not known; known are {known}").into());
            }
        }
    }
    if arguments.paying + arguments.receiving + arguments.forwarding == 0 {
        (arguments.paying, arguments.receiving, arguments.forwarding) = (200, 100, 50);
    }
    Ok(arguments)
}
