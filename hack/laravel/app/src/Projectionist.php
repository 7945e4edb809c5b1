<?php

declare(strict_types=1);

namespace StandIn;

use Exception;

/** Calls projectors, live and in a replay. */
final class Projectionist
{
    private const PAGE = 1000;

    /** @return list<Projector> */
    private static function projectors(): array
    {
        return [
            new Projectors\Albums(), new Projectors\AlbumRevisions(), new Projectors\Reciters(), new Projectors\ReciterRevisions(),
            new Projectors\Statistics(), new Projectors\TrackRevisions(), new Projectors\Tracks(), new Projectors\Visits(),
        ];
    }

    public static function live(StoredEvent $event): void
    {
        self::call($event, static fn (Projector $p): bool => !$p->queued());
    }

    /** What the worker of the queue does with a job. */
    public static function queued(StoredEvent $event): void
    {
        self::call($event, static fn (Projector $p): bool => $p->queued());
    }

    /**
     * The stock replay: everything from an id on, in pages, until one is short. It
     * has no transaction, no bound and no memory of where it was.
     */
    public static function replay(int $from): int
    {
        $events = Database::events();
        $count = (int) $events->run('select count(*) from "stored_events" where "id" >= ?', [$from])->fetchColumn();
        if ($count === 0) {
            return 0;
        }
        if ($from === 0) {
            foreach (self::projectors() as $projector) {
                $projector->resetState();
            }
        }
        $replayed = 0;
        $last = null;
        do {
            $page = $last === null
                ? $events->all('select * from "stored_events" where "id" >= ? order by "id" asc limit ' . self::PAGE, [$from])
                : $events->all('select * from "stored_events" where "id" >= ? and "id" > ? order by "id" asc limit ' . self::PAGE, [$from, $last]);
            foreach ($page as $row) {
                self::call(StoredEvent::of($row), static fn (): bool => true);
                $last = (int) $row['id'];
                $replayed++;
            }
        } while (count($page) === self::PAGE);
        return $replayed;
    }

    /** @param callable(Projector): bool $which */
    private static function call(StoredEvent $event, callable $which): void
    {
        foreach (self::projectors() as $projector) {
            $handler = $projector->handles()[$event->alias] ?? null;
            if ($handler === null || !$which($projector)) {
                continue;
            }
            try {
                $projector->$handler($event);
            } catch (Exception $e) {
                if (!Environment::flag('EVENT_PROJECTOR_CATCH_EXCEPTIONS')) {
                    throw $e;
                }
                error_log(get_class($projector) . ' failed on event ' . $event->id);
            }
        }
    }
}
