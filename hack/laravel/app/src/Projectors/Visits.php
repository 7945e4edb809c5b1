<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\Projector;
use StandIn\StoredEvent;

/** Queued: a second row for a second application of one event. */
final class Visits extends Projector
{
    public function handles(): array
    {
        return ['reciter.viewed' => 'viewed', 'track.viewed' => 'viewed'];
    }

    public function queued(): bool
    {
        return true;
    }

    public function resetState(): void
    {
        self::data()->script('truncate table "visits" restart identity cascade');
    }

    public function viewed(StoredEvent $event): void
    {
        [$type] = explode('.', $event->alias);
        self::data()->insert('visits', ['visitable_id' => $event->id(), 'visitable_type' => $type,
            'visited_at' => date('Y-m-d H:i:s', strtotime($event->visited_at))]);
    }
}
