<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\Projector;
use StandIn\StoredEvent;

/** Queued: reads, adds one, and writes. */
final class Statistics extends Projector
{
    public function handles(): array
    {
        return ['track.viewed' => 'viewed'];
    }

    public function queued(): bool
    {
        return true;
    }

    public function resetState(): void
    {
        self::data()->script('truncate table "track_statistics" restart identity cascade');
    }

    public function viewed(StoredEvent $event): void
    {
        $known = self::data()->first('select * from "track_statistics" where "track_id" = ? limit 1', [$event->id()]);
        if ($known === null) {
            self::data()->insert('track_statistics', ['track_id' => $event->id(), 'visits_all_time' => 1]);
            return;
        }
        self::data()->run('update "track_statistics" set "visits_all_time" = ? where "track_id" = ?', [(int) $known['visits_all_time'] + 1, $event->id()]);
    }
}
