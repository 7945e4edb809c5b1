<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\StoredEvent;

final class AlbumRevisions extends Revisions
{
    protected function type(): string
    {
        return 'album';
    }

    public function handles(): array
    {
        return ['album.created' => 'created', 'album.changed.title' => 'changed', 'album.changed.year' => 'changed', 'album.changed.artwork' => 'changed',
            'album.deleted' => 'deleted', 'track.created' => 'trackCreated'];
    }

    public function created(StoredEvent $event): void
    {
        $a = $event->attributes;
        $this->begin($event, ['id' => $event->id(), 'reciterId' => $event->reciterId, 'title' => $a['title'], 'year' => $a['year'],
            'artwork' => $a['artwork'] ?? null, 'tracks' => []]);
    }

    public function changed(StoredEvent $event): void
    {
        $column = substr($event->alias, strlen('album.changed.'));
        $this->modify($event, $event->id(), [$column => $event->$column]);
    }

    public function trackCreated(StoredEvent $event): void
    {
        [$before] = $this->latest($event->albumId);
        $this->modify($event, $event->albumId, ['tracks' => [...$before['tracks'], $event->id()]]);
    }

    public function deleted(StoredEvent $event): void
    {
        $this->end($event, $event->id());
    }
}
