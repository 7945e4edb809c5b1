<?php

declare(strict_types=1);

namespace StandIn;

/**
 * The queue that all versions share. In the application it is Redis; here it is a
 * table, so that nothing but Postgres is needed.
 */
final class Queue
{
    public static function push(string $queue, int $event): void
    {
        if (Environment::get('QUEUE_CONNECTION', 'redis') === 'sync') {
            Projectionist::queued(StoredEvent::find($event));
            return;
        }
        self::table()->run('insert into jobs (queue, event) values (?, ?)', [$queue, $event]);
    }

    /** Waiting and reserved jobs. */
    public static function size(string $queue): int
    {
        return (int) self::table()->run('select count(*) from jobs where queue = ?', [$queue])->fetchColumn();
    }

    /** Does one job, and reports whether there was one. */
    public static function work(string $queue): bool
    {
        $job = self::table()->first('update jobs set reserved_at = clock_timestamp() where id = (select id from jobs where queue = ?'
            . " and (reserved_at is null or reserved_at < clock_timestamp() - interval '90 seconds') order by id limit 1 for update skip locked) returning id, event", [$queue]);
        if ($job === null) {
            return false;
        }
        Projectionist::queued(StoredEvent::find((int) $job['event']));
        self::table()->run('delete from jobs where id = ?', [(int) $job['id']]);
        return true;
    }

    private static function table(): Database
    {
        return Database::queue();
    }
}
