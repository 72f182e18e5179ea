-- Tells the planner how many senders and receivers have a word, which it would take for next to none: what filters ask
-- of them (functions/query_events/parameters.py), the same expressions. ANALYZE fills them.
CREATE STATISTICS senders_address ON (fold(address)) FROM senders;
CREATE STATISTICS senders_ip_pool ON (space_words(ip_pool, '[-_ ]+')) FROM senders;
CREATE STATISTICS senders_domain ON (space_words(find_sending_domain(address, shared), '[-_ .]+')) FROM senders;
CREATE STATISTICS receivers_mailbox_provider ON (space_words(mailbox_provider, '[-_ ]+')) FROM receivers;
CREATE STATISTICS receivers_mailbox_provider_region ON (space_words(mailbox_provider_region, '[-_ ]+')) FROM receivers;
CREATE STATISTICS receivers_domain ON (space_words(domain, '[-_ .]+')) FROM receivers;
