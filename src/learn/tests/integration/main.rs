//! What the trainer sees is what the engine sees.

mod parity;
