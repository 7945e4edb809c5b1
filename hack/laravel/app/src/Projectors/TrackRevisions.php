<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\StoredEvent;

final class TrackRevisions extends Revisions
{
    protected function type(): string
    {
        return 'track';
    }

    public function handles(): array
    {
        return ['track.created' => 'created', 'track.changed.title' => 'changed', 'track.changed.lyrics' => 'changed', 'track.changed.audio' => 'changed',
            'track.changed.video' => 'changed', 'track.deleted' => 'deleted'];
    }

    public function created(StoredEvent $event): void
    {
        $this->begin($event, ['id' => $event->id(), 'albumId' => $event->albumId, 'title' => $event->attributes['title'],
            'audio' => $event->attributes['audio'] ?? null, 'video' => null, 'lyrics' => null]);
    }

    public function changed(StoredEvent $event): void
    {
        $column = substr($event->alias, strlen('track.changed.'));
        $value = match ($column) {
            'title' => $event->title,
            'audio' => $event->path,
            'video' => $event->url,
            'lyrics' => $event->document === null ? null : ['content' => $event->document['content'], 'format' => $event->document['format']],
        };
        $this->modify($event, $event->id(), [$column => $value]);
    }

    public function deleted(StoredEvent $event): void
    {
        $this->end($event, $event->id());
    }
}
