on run {theChat, theBody}
	tell application "Messages"
		try
			set theTarget to get chat id theChat
		on error theProblem number theCode
			error "lookup" number theCode
		end try
		send theBody to theTarget
	end tell
end run
