on run {theAddress, thePath}
	tell application "Messages"
		try
			set theAccount to 1st account whose service type = RCS
			set theTarget to get participant theAddress of theAccount
		on error theProblem number theCode
			error "lookup" number theCode
		end try
		send (POSIX file thePath) to theTarget
	end tell
end run
