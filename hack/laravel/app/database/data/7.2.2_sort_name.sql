alter table reciters add column sort_name varchar(255);
