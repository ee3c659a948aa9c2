on run
	tell application "Messages" to count accounts
end run
