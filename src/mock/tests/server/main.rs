//! Does the server, started as tests start it, do over TCP what was scripted?

#[cfg(test)]
mod answers;
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod tls;
