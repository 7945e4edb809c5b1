<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\Projector;
use StandIn\StoredEvent;

final class Albums extends Projector
{
    public function handles(): array
    {
        return ['album.created' => 'created', 'album.changed.title' => 'changed', 'album.changed.year' => 'changed', 'album.changed.artwork' => 'changed',
            'album.deleted' => 'deleted'];
    }

    public function resetState(): void
    {
        self::data()->script('truncate table "albums" restart identity cascade');
    }

    public function created(StoredEvent $event): void
    {
        $reciter = self::findOrFail('reciters', $event->reciterId);
        $attributes = $event->attributes;
        self::data()->insert('albums', ['id' => $event->id(), 'reciter_id' => $reciter['id'], 'title' => $attributes['title'], 'year' => $attributes['year'],
            'artwork' => $attributes['artwork'] ?? null] + self::timestamps());
    }

    public function changed(StoredEvent $event): void
    {
        $column = substr($event->alias, strlen('album.changed.'));
        self::save('albums', self::findOrFail('albums', $event->id()), [$column => $event->$column]);
    }

    public function deleted(StoredEvent $event): void
    {
        $row = self::findOrFail('albums', $event->id());
        self::data()->run('delete from "tracks" where "album_id" = ?', [$row['id']]);
        self::data()->run('delete from "albums" where "id" = ?', [$row['id']]);
    }
}
