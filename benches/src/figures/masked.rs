//! For how many instructions a lock is held that masks interrupts.

use super::{progress, Options};
use crate::arena::{Arena, Region};
use crate::contender::{longest, Contender, Masked};
use crate::replay::{run, Slots};
use crate::report::{Bar, Figure, Table};
use crate::workload::random::Plan;
use crate::workload::{adversarial, OpKind, Workload};
use anyhow::{ensure, Result};
use talc::{DefaultBinning, SmallBinning};

/// What the documents advise for such a lock.
const COPIED: usize = 256;

const KINDS: [OpKind; 3] = [OpKind::Alloc, OpKind::Realloc, OpKind::Free];

/// Replays a workload and returns the most for each of [`KINDS`].
type Replay = fn(&Workload, Region, &mut Slots) -> Result<[Option<u64>; 3]>;

/// As in tables.
const CONTENDERS: [(&str, Replay); 4] = [
    ("talc, up to 256 bytes copied", replay::<Masked<DefaultBinning, COPIED>>),
    ("talc, nothing copied", replay::<Masked<DefaultBinning, 0>>),
    ("talc small, up to 256 bytes copied", replay::<Masked<SmallBinning, COPIED>>),
    ("talc small, nothing copied", replay::<Masked<SmallBinning, 0>>),
];

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let plan = Plan { max_size: 3000, live: 300, realloc: true, actions: 20_000, seed: 1 };
    let mut workloads = adversarial::all();
    workloads.extend(adversarial::moving(COPIED as u32));
    workloads.push(Workload { name: String::from("random"), ..plan.build() });
    let mut slots = Slots::default();
    let mut arena = Arena::untouched(adversarial::ARENA);
    let mut table = Table::new(
        "Instructions for which the lock is held, at most",
        ["instructions", "allocate", "reallocate", "free"],
    );
    let mut bars = Vec::new();
    let contenders: Vec<_> =
        CONTENDERS.into_iter().filter(|(name, _)| options.wants(name)).collect();
    let progress = progress("masked", contenders.len() * workloads.len());
    for (name, replay) in contenders {
        let mut worst = [None; 3];
        for workload in &workloads {
            progress.step(&format!("{name}, {}", workload.name));
            let arena = arena.region().first(workload.roomy_arena());
            let found = replay(workload, arena, &mut slots)?;
            worst.iter_mut().zip(found).for_each(|(worst, found)| *worst = found.max(*worst));
        }
        let cells = worst.map(|count| count.map_or("–".into(), |count| count.to_string()));
        table.row([name.to_owned()].into_iter().chain(cells));
        if let ("talc, up to 256 bytes copied", Some(count)) = (name, worst[1]) {
            bars.push(Bar {
                what: String::from(
                    "worst reallocate under the lock, 256 bytes copied, instructions",
                ),
                goal: 700.0,
                at_least: false,
                value: count as f64,
            });
        }
    }
    drop(progress);
    Ok(Figure {
        id: String::from("masked"),
        title: String::from("How long interrupts are masked"),
        text: format!(
            "Each call of the workloads goes through a `TalcLock` whose lock sets the processor's trap flag when it is \
             taken, and clears it when it is released, which counts the instructions in between, the same each time. A \
             reallocation that has to move copies up to {COPIED} bytes under the lock (`with_copy_limit`), or nothing. The heaps \
             are those that are hard on purpose for the figure `tail`, the same kinds of heaps with blocks of {COPIED} \
             bytes that have to move, and a random one. What is refused is not among it. The C library copies {COPIED} \
             bytes in a few wide instructions here."
        ),
        tables: vec![table],
        bars,
        ..Figure::default()
    })
}

fn replay<C: Contender>(
    workload: &Workload,
    arena: Region,
    slots: &mut Slots,
) -> Result<[Option<u64>; 3]> {
    let slots = slots.for_workload(workload);
    let mut worst = [None; 3];
    // SAFETY: the arena is lent to this replay alone; the workload is consistent from its first call on, and `slots` is
    // long enough.
    unsafe {
        let contender = C::over(arena);
        ensure!(contender.is_some(), "the arena is too small");
        let mut contender = contender.unwrap();
        let mut is_done = run(&mut contender, &workload.ops[..workload.warm], slots).is_ok();
        for op in workload.measured() {
            let call = || is_done &= run(&mut contender, std::slice::from_ref(op), slots).is_ok();
            let count = longest(call);
            for (worst, kind) in worst.iter_mut().zip(KINDS) {
                if kind == op.kind {
                    *worst = count.max(*worst);
                }
            }
        }
        ensure!(is_done, "a call of {} was refused", workload.name);
        let _ = run(&mut contender, &workload.cleanup, slots);
    }
    Ok(worst)
}

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_under_the_lock_counts() {
        let workload = &adversarial::moving(900)[0];
        let mut arena = Arena::untouched(workload.roomy_arena());
        let mut slots = Slots::default();
        let mut longest =
            |replay: Replay| replay(workload, arena.region(), &mut slots).unwrap()[1].unwrap();
        let nothing = longest(replay::<Masked<DefaultBinning, 0>>);
        let all = longest(replay::<Masked<DefaultBinning, { 1 << 20 }>>);
        assert!(nothing > 50 && all > nothing, "{nothing} and {all}");
    }
}
