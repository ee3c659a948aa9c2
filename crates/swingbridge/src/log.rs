//! The log and the panic hook. Neither ever holds what people write.

use crate::config::logging::{Format, Level, Logging};
use std::any::Any;
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Starts the log, on standard error. Called once.
pub fn start(logging: Logging) {
    let level = match logging.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // Other people's code may put requests and addresses into its finer levels: those are never shown.
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // It calls an error what is an answer like any other (there is no such thing), and its callers tell of the others.
        .with_target("matrix_sdk::http_client", LevelFilter::OFF)
        .with_target("swingbridge", level);
    let layer = match logging.format {
        Format::Human => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(filter)
            .boxed(),
        Format::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed(),
    };
    tracing_subscriber::registry().with(layer).init();
}

/// Lets panics say where they happened, and not more: a text made at run time may hold what somebody wrote.
pub fn guard_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = text_of(panic.payload());
        tracing::error!(%place, text, "the program met a case that it believed impossible; please report it");
    }));
}

fn text_of(payload: &dyn Any) -> &'static str {
    // A text that was written into the code holds nothing of anybody's.
    let fixed = payload.downcast_ref::<&'static str>().copied();
    fixed.unwrap_or("its text is withheld")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_nothing_that_was_made_at_run_time() {
        assert_eq!(text_of(&"a fixed text"), "a fixed text");
        assert_eq!(
            text_of(&format!("text from {}", "+447700900456")),
            "its text is withheld"
        );
        assert_eq!(text_of(&7), "its text is withheld");
    }

    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn refused(number: &str) -> Result<(), String> {
        Err(number.to_owned())
    }

    #[test]
    fn what_a_panic_prints_holds_its_place_and_no_number() {
        let printed = Shared::default();
        let writer = printed.clone();
        let log = fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(move || writer.clone());
        let before = std::panic::take_hook();
        guard_panics();
        tracing::subscriber::with_default(log.finish(), || {
            let number = "+447700900456";
            let panics: [fn(&str); 3] = [
                |number| panic!("no contact has {number}"),
                |number| refused(number).expect("a contact"),
                |number| std::panic::panic_any(number.to_owned()),
            ];
            for panics in panics {
                assert!(std::panic::catch_unwind(|| panics(number)).is_err());
            }
        });
        std::panic::set_hook(before);
        let printed = String::from_utf8(printed.0.lock().unwrap().clone()).unwrap();
        assert_eq!(printed.matches("log.rs").count(), 3, "{printed}");
        assert!(!printed.contains("900456"), "{printed}");
    }
}
