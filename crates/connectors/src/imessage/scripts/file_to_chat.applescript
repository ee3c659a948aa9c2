on run {theChat, thePath}
	tell application "Messages"
		try
			set theTarget to get chat id theChat
		on error theProblem number theCode
			error "lookup" number theCode
		end try
		send (POSIX file thePath) to theTarget
	end tell
end run
