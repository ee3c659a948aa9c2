//! The carrier with Kannel as its customer.

use std::time::Duration;

use swingbridge_lab::{
    kannel::{Kannel, Report},
    smsc,
};

const PATIENCE: Duration = Duration::from_secs(30);
const LINE: &str = "447700900000";
const PHONE: &str = "447700900456";
const LONG: &str = "Long enough for three parts, with an emoji that must not be cut: 👩🏽‍🚀. Some words more, so that the \
                    end of the second part comes near: 🎉, and on, until the third part has begun as well. The end.";

#[tokio::test]
#[ignore = "long: starts Kannel"]
async fn kannel_exchanges_long_texts_with_emoji_and_receipts() {
    let carrier = smsc::start(smsc::Config::default()).await.unwrap();
    let Some(mut kannel) = Kannel::for_test(carrier.address()).await else {
        return;
    };
    carrier
        .wait_for("Kannel's bind", PATIENCE, |view| {
            (!view.sessions.is_empty()).then_some(())
        })
        .await
        .unwrap();

    for (number, text) in [(1, "Short and plain"), (2, LONG)] {
        kannel.send(number, LINE, PHONE, text).await.unwrap();
        carrier
            .wait_for("the text on the phone", PATIENCE, |view| {
                view.messages
                    .iter()
                    .any(|message| message.text == text)
                    .then_some(())
            })
            .await
            .unwrap();
        let delivered = Report::Delivery { number, state: 1 };
        kannel
            .report("the delivery", |report| *report == delivered)
            .await
            .unwrap();

        carrier.write(PHONE, LINE, text).unwrap();
        let report = kannel.report("the text of the phone", |report| {
            matches!(report, Report::Text { .. })
        });
        let expected = Report::Text {
            from: PHONE.into(),
            to: LINE.into(),
            text: text.into(),
        };
        // It writes international numbers with a plus.
        let Report::Text { from, to, text } = report.await.unwrap() else {
            unreachable!()
        };
        let plain = |number: String| number.trim_start_matches('+').to_owned();
        assert_eq!(
            Report::Text {
                from: plain(from),
                to: plain(to),
                text
            },
            expected
        );
    }
    assert_eq!(carrier.accounts().doubled().count(), 0);
}
