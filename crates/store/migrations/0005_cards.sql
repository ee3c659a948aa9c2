-- What a device's address book or a group says of a contact: name and picture, sealed like its address.
ALTER TABLE contacts ADD COLUMN card @bytes;
