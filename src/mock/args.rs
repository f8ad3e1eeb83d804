//! What was typed on the command line, and which listeners does it ask for?

use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;

/// Scriptable fake LLM provider: several listeners in one process.
#[derive(Debug, Parser)]
#[command(name = "mock-provider", version)]
pub struct Args {
    /// Address of the control listener; without it there is none.
    #[arg(long, value_name = "ADDR")]
    pub control: Option<String>,

    /// Directory that receives ca.pem, the authority of every tls listener.
    #[arg(long, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,

    /// Exit when standard input ends, so that a killed test leaves nothing behind.
    #[arg(long)]
    pub until_eof: bool,

    /// Benchmark mode: record nothing, build each distinct answer once.
    #[arg(long)]
    pub fast: bool,

    /// Worker threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    pub threads: u8,

    /// name[@host:port][,tls][,h=hostname...]
    #[arg(required = true, value_name = "PROVIDER")]
    pub providers: Vec<ProviderSpec>,
}

/// One listener to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSpec {
    pub name: String,
    pub address: String,
    pub tls: bool,
    /// Names of the certificate; unused without `tls`.
    pub hostnames: Vec<String>,
}

impl FromStr for ProviderSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let place = words.next().unwrap_or_default();
        let (name, address) = place.split_once('@').unwrap_or((place, "127.0.0.1:0"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!("\"{name}\" is not a provider name, use letters, digits, - _ ."));
        }
        if !address.contains(':') {
            return Err(format!("\"{address}\" has no port, use \"host:port\""));
        }
        let mut tls = false;
        let mut hostnames = Vec::new();
        for word in words {
            match word.split_once('=') {
                None if word == "tls" => tls = true,
                Some(("h", hostname)) if !hostname.is_empty() => hostnames.push(hostname.into()),
                _ => return Err(format!("unknown word \"{word}\", use \"tls\" or \"h=hostname\"")),
            }
        }
        if !tls && !hostnames.is_empty() {
            return Err("\"h=\" needs \"tls\"".into());
        }
        if hostnames.is_empty() {
            hostnames = vec![format!("{name}.test"), "localhost".into()];
        }
        Ok(Self { name: name.into(), address: address.into(), tls, hostnames })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> ProviderSpec {
        text.parse().unwrap()
    }

    #[test]
    fn bare_name_listens_on_a_free_local_port() {
        let spec = spec("first");
        assert_eq!((spec.name.as_str(), spec.address.as_str()), ("first", "127.0.0.1:0"));
        assert!(!spec.tls);
    }

    #[test]
    fn every_word_of_a_provider_is_understood() {
        let spec = spec("sec@127.0.0.1:4001,tls,h=a.test,h=b.test");
        assert_eq!(spec.address, "127.0.0.1:4001");
        assert!(spec.tls);
        assert_eq!(spec.hostnames, ["a.test", "b.test"]);
    }

    #[test]
    fn certificate_names_default_to_the_provider_and_localhost() {
        assert_eq!(spec("sec,tls").hostnames, ["sec.test", "localhost"]);
    }

    #[test]
    fn mistyped_words_are_refused() {
        for text in ["", "a/b", "a@127.0.0.1", "a,tsl", "a,h=x", "a,tls,h="] {
            assert!(text.parse::<ProviderSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_process_without_providers_is_refused() {
        assert!(Args::try_parse_from(["mock-provider"]).is_err());
    }
}
