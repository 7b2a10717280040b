//! Looks through its fresh memory for what an earlier call left there, then leaves a mark of its
//! own in all of it: heap, stack, and pages not yet handed out.

use core::arch::wasm32::{memory_grow, memory_size};
use std::hint::black_box;

use soma_guests::{Output, ToolError, structured};

soma_guests::tool!(run);

const PAGE: usize = 65_536;
const GROWN: usize = 256;

fn run(_input: String) -> Result<Output, ToolError> {
    // Put together at run time: the mark must not be found in the guest's own data.
    let mark: u64 = black_box(0x5a5a_0000_0000_a5a5) ^ black_box(0x0000_1234_4321_0000);
    let before = marks_in(0, memory_size(0) * PAGE, mark);
    let start = memory_grow(0, GROWN) * PAGE;
    let fresh = marks_in(start, GROWN * PAGE, mark);
    leave_on_stack(mark);
    leave(start, GROWN * PAGE, mark);
    let left = marks_in(start, GROWN * PAGE, mark);
    Ok(structured(format!(
        r#"{{"found":{},"left":{left}}}"#,
        before + fresh
    )))
}

fn leave_on_stack(mark: u64) {
    black_box([mark; 4096]);
}

#[expect(
    unsafe_code,
    reason = "the point is to read memory that nothing has handed out"
)]
fn marks_in(start: usize, bytes: usize, mark: u64) -> usize {
    (start.max(8)..start + bytes)
        .step_by(8)
        // SAFETY: aligned and within linear memory, whatever it holds.
        .filter(|&at| unsafe { (at as *const u64).read_volatile() } == mark)
        .count()
}

#[expect(unsafe_code, reason = "the pages were just grown and belong to nobody")]
fn leave(start: usize, bytes: usize, mark: u64) {
    for at in (start..start + bytes).step_by(8) {
        // SAFETY: aligned, within the pages that `grow` gave, and not the allocator's.
        unsafe { (at as *mut u64).write_volatile(mark) };
    }
}
