//! Lower bounds: gathering without serving, which a server of this `prometheus` must do, and copying the body
//! once.

use std::hint::black_box;
use std::thread;

use crate::contenders::text_encoder;
use crate::inside::now;
use crate::load::Load;
use crate::outcome::Outcome;
use crate::serve::commands;

#[derive(Clone, Copy)]
pub(crate) enum Floor {
    Gather,
    Copy,
}

impl Floor {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gather => "floor: gather() and drop",
            Self::Copy => "floor: memcpy of the body",
        }
    }

    /// Works on a long-lived thread that is not the first one, as a server does. It answers each line after
    /// working once, with the thread's CPU time in nanoseconds. So the cost of reading and answering does not
    /// count.
    pub(super) fn serve(self, load: Load) -> Outcome<()> {
        let registry = load.registry();
        let body = match self {
            Self::Gather => Vec::new(),
            Self::Copy => text_encoder(&registry.gather()),
        };
        let mut commands = commands();
        println!("ready 0 0");
        let worker = thread::spawn(move || -> Outcome<()> {
            while commands.blocking_recv().is_some() {
                let start = now()?;
                match self {
                    Self::Gather => drop(black_box(registry.gather())),
                    Self::Copy => drop(black_box(body.clone())),
                }
                println!("{}", (now()? - start).as_nanos());
            }
            Ok(())
        });
        worker.join().map_err(|_| "the floor panicked")?
    }
}
