//! Records each program (or those named on the command line) into `benches/traces/`.

use anyhow::Result;
use benches::trace::{self, Recorder};
use programs::ALL;

#[global_allocator]
static RECORDER: Recorder = Recorder::new();

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    std::fs::create_dir_all(trace::folder())?;
    for program in ALL {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == program.name) {
            continue;
        }
        RECORDER.start();
        let sum = (program.run)(1);
        let calls = RECORDER.stop();
        let path = trace::path_of(program.name);
        trace::write(&path, program.description, &calls)?;
        let workload = trace::read(&path)?.workload;
        println!(
            "{}: {} calls, at most {} blocks of {} bytes in all, {} bytes in the file, sum {sum}",
            program.name,
            calls.len(),
            workload.peak_blocks,
            workload.peak_bytes,
            std::fs::metadata(&path)?.len()
        );
    }
    Ok(())
}
