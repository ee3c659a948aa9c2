pub fn page(_: crate::cli::Topic) -> String {
    super::init::template::example()
}
