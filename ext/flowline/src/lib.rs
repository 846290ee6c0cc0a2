//! Flowline's native extension: translation between Ruby and `flowline-core`, and nothing else.
use magnus::{Error, Module, Ruby};

#[magnus::init]
fn init(ruby: &Ruby) -> Result<(), Error> {
    let flowline = ruby.define_module("Flowline")?;
    flowline.define_module("Native")?;
    Ok(())
}
