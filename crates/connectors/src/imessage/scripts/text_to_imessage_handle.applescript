on run {theAddress, theBody}
	tell application "Messages"
		try
			set theAccount to 1st account whose service type = iMessage
			set theTarget to get participant theAddress of theAccount
		on error theProblem number theCode
			error "lookup" number theCode
		end try
		send theBody to theTarget
	end tell
end run
